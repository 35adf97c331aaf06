"""Draw what a command printed as a picture: reads its coloured output, writes an SVG that needs no other file.

FORCE_COLOR=1 COLUMNS=100 .venv/bin/tds demo --once | .venv/bin/python tools/terminal_picture.py docs/pictures/demo.svg
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

WIDTH = 100


def picture(output: str, title: str) -> str:
    """An SVG of a terminal that shows ``output``; a font of the machine's own, nothing fetched."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(output.rstrip()))
    drawn = console.export_svg(title=title, theme=MONOKAI)
    drawn = re.sub(r"@font-face \{.*?\}\s*(?=@font-face|\.)", "", drawn, flags=re.DOTALL)
    return re.sub(r"font-family: Fira Code, monospace", "font-family: ui-monospace, Menlo, Consolas, monospace", drawn)


def main() -> None:
    """Draw standard input into the file that is named."""
    target = Path(sys.argv[1])
    target.write_text(picture(sys.stdin.read(), f"tds {target.stem}"), encoding="utf-8")


if __name__ == "__main__":
    main()
