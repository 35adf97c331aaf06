"""The machine that the figures come from, and the versions of what was measured on it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import psutil

__all__ = ["hardware", "versions"]

_PACKAGES: Final = ("tsh-data-sync", "asyncpg", "SQLAlchemy", "fastapi", "uvicorn", "uvloop", "orjson", "pydantic")
_CPUINFO: Final = Path("/proc/cpuinfo")


def hardware() -> dict[str, Any]:
    """Processor, cores that this process may use, memory, and how busy the machine is already."""
    return {
        "processor": _processor(),
        "cores": _cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions(postgresql: str) -> dict[str, str]:
    """Python, PostgreSQL and the packages that do the work."""
    found = {"python": platform.python_version(), "postgresql": postgresql}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    if _CPUINFO.exists():
        for line in _CPUINFO.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    return len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else os.cpu_count() or 1
