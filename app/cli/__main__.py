"""``python -m app.cli``: the same as ``tds``, wherever that is installed."""

from __future__ import annotations

from app.cli import main

if __name__ == "__main__":
    main()
