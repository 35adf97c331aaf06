"""Figures from samples: percentiles, medians, ratios. Times go in as seconds and come out as milliseconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil
from statistics import median

__all__ = ["median_ms", "per", "percentile", "percentiles_ms", "ratio"]


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest sample that at least ``share`` (0 to 1) of all samples do not exceed (nearest rank).

    Raises:
        ValueError: there are no samples, or ``share`` is no share.
    """
    if not ordered or not 0 < share <= 1:
        raise ValueError(f"a percentile needs samples and a share above 0 and up to 1, not {len(ordered)} and {share}")
    return ordered[ceil(share * len(ordered)) - 1]


def percentiles_ms(seconds: Iterable[float], *, prefix: str = "") -> dict[str, float | None]:
    """``p50_ms``, ``p95_ms`` and ``p99_ms`` of times in seconds; None where there is no sample."""
    ordered = sorted(seconds)
    shares = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
    return {
        f"{prefix}{name}": round(percentile(ordered, share) * 1000, 3) if ordered else None
        for name, share in shares.items()
    }


def median_ms(seconds: Sequence[float]) -> float:
    """The median of times in seconds, in milliseconds."""
    return round(median(seconds) * 1000, 4)


def ratio(value: float, of: float) -> float | None:
    """``value / of``, to four places; None where there is nothing to compare with."""
    return round(value / of, 4) if of else None


def per(value: float | None, items: int, *, places: int = 2) -> float | None:
    """``value`` for each item; None where it was not measured, or there are no items."""
    return None if value is None or items == 0 else round(value / items, places)
