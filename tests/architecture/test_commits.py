"""Transactions end at the edges: the gate refuses a commit anywhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.lint.commits import commits_in, main, offences

COMMIT = "async def save(session):\n    await session.commit()\n"


def _plant(root: Path, name: str, source: str = COMMIT) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, encoding="utf-8")


class TestCommitsIn:
    """What counts as a commit."""

    def test_finds_the_call_whatever_it_is_called_on(self) -> None:
        """A session, an attribute, a function's result: all commit."""
        source = "s.commit()\nself.db.commit()\nsession().commit()\n"
        assert list(commits_in(source)) == [1, 2, 3]

    def test_passes_over_what_is_not_a_call(self) -> None:
        """A name, a comment, a string and a function of one's own are no commits."""
        assert list(commits_in("hook = s.commit\n# s.commit()\ntext = 's.commit()'\ncommit()\n")) == []


class TestOffences:
    """Where a commit may stand."""

    @pytest.mark.parametrize(
        "name",
        [
            "app/core/database.py",
            "app/migrations/runner.py",
            "app/tds/api/webhooks.py",
            "app/tds/workers/worker.py",
            "app/cli.py",
        ],
    )
    def test_accepts_the_edges(self, tmp_path: Path, name: str) -> None:
        """The unit of work, the migrations' runner, the API, the workers and the command line end transactions."""
        _plant(tmp_path, name)
        assert offences(tmp_path) == []

    @pytest.mark.parametrize(
        "name", ["app/tds/core/queue.py", "app/core/locks.py", "app/bff/router.py", "app/client.py"]
    )
    def test_refuses_it_elsewhere(self, tmp_path: Path, name: str) -> None:
        """A service, a helper, a reader do not."""
        _plant(tmp_path, name)
        assert offences(tmp_path) == [f"{name}:2: commits a transaction; leave that to the caller"]

    def test_leaves_tests_alone(self, tmp_path: Path) -> None:
        """A test is a caller."""
        _plant(tmp_path, "tests/test_a.py")
        assert offences(tmp_path) == []


class TestMain:
    """The command."""

    def test_ends_with_1_and_prints_the_offender(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A refusal can be read and fails the build."""
        _plant(tmp_path, "app/tds/core/queue.py")
        assert main([str(tmp_path)]) == 1
        assert "app/tds/core/queue.py:2" in capsys.readouterr().out

    def test_ends_with_0_where_all_is_well(self, tmp_path: Path) -> None:
        """An accepted tree lets the build go on."""
        _plant(tmp_path, "app/tds/core/queue.py", "x = 1\n")
        assert main([str(tmp_path)]) == 0
