"""A child that ends with its parent, however that one ends.

The parent keeps a pipe to the child's standard input and writes nothing to it. The kernel closes the pipe when the
parent is gone, by `kill -9` too; the child reads the end and asks itself to stop in its usual, clean way.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Final

__all__ = ["end_with_parent"]

_PATIENCE_SECONDS: Final = 30.0


def end_with_parent() -> None:
    """Send this process SIGTERM when its standard input ends, and end it for good if that does not help."""
    threading.Thread(target=_watch, name="lifeline", daemon=True).start()


def _watch() -> None:
    descriptor = sys.stdin.fileno()
    while os.read(descriptor, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE_SECONDS)
    os._exit(1)
