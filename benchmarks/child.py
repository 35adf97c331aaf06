"""``tds`` as in production, except that it ends when the benchmark does, however that ends.

Usage: ``python -m benchmarks.child serve --port 0``. Standard input must be a pipe that the benchmark holds.
"""

from __future__ import annotations

from app.cli import main
from app.cli.lifeline import end_with_parent

if __name__ == "__main__":
    end_with_parent()
    main()
