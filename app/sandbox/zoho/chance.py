"""Seeded randomness: the same seed and the same name give the same draws."""

from __future__ import annotations

import random

__all__ = ["Chance", "chance"]

Chance = random.Random


def chance(seed: int, name: str) -> Chance:
    """A generator of its own for each use, so that one use does not shift the draws of another."""
    return random.Random(f"{seed}:{name}")
