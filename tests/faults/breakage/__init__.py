"""What each fault does. Importing this package registers them all."""

from __future__ import annotations

from tests.faults.breakage import database, network, processes, source

__all__ = ["database", "network", "processes", "source"]
