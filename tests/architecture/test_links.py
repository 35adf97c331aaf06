"""Documents name real files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\[[^\]]*\]\((?!https?://|mailto:|#)([^)\s#]+)")


def _documents(root: Path) -> Iterator[Path]:
    yield from sorted(root.glob("*.md"))
    for folder in ("app", "docs", "examples"):
        yield from (path for path in sorted((root / folder).rglob("*.md")) if "node_modules" not in path.parts)


def _broken_links(root: Path) -> list[str]:
    return [
        f"{path.relative_to(root)}: {target}"
        for path in _documents(root)
        for target in LINK.findall(path.read_text(encoding="utf-8"))
        if not (path.parent / target).exists()
    ]


class TestLinks:
    """Links from one document to another file."""

    def test_lead_somewhere_in_this_tree(self) -> None:
        """No document links to a file that is not there."""
        assert _broken_links(ROOT) == []

    def test_are_seen_to_be_broken(self, tmp_path: Path) -> None:
        """A link to nowhere is found; a link to a neighbour, a page of the web and a heading are not complained of."""
        (tmp_path / "docs").mkdir()
        (tmp_path / "README.md").write_text("[a](docs/a.md) [b](docs/b.md#c) [w](https://example.org) [h](#here)")
        (tmp_path / "docs" / "a.md").write_text("[up](../README.md)")
        assert _broken_links(tmp_path) == ["README.md: docs/b.md"]

    def test_index_every_decision(self) -> None:
        """Each decision stands in the index of the documents."""
        index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
        assert [p.name for p in (ROOT / "docs/decisions").glob("*.md") if f"decisions/{p.name}" not in index] == []
