"""The folders of the embedded PostgreSQL: made with the right modes, checked, never changed once they exist."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from app.core.embedded.account import ACCOUNT_NAME, Account
from app.core.embedded.errors import OTHER_DATABASE, DataDirectoryError
from app.core.embedded.layout import Layout

__all__ = ["check_data", "create_directories", "prepare_root", "prepare_run"]


def create_directories(path: Path, mode: int) -> None:
    """Make ``path`` and what is missing above it, each with exactly ``mode``; what exists stays as it is."""
    if path.is_dir():
        return
    create_directories(path.parent, mode)
    try:
        path.mkdir(mode)
    except FileExistsError:
        if not path.is_dir():
            raise
        return
    path.chmod(mode)  # ours alone, and the umask may have taken bits away


def prepare_root(layout: Layout, account: Account) -> None:
    """Make ``<home>/postgres`` if it is missing, and see that it is ours.

    Raises:
        DataDirectoryError: it belongs to somebody else.
    """
    create_directories(layout.root, 0o755 if account.switched else 0o700)
    _check_owner(layout.root, os.geteuid())


def prepare_run(layout: Layout, account: Account) -> None:
    """Make the folder of the socket, for ``account`` alone.

    Raises:
        DataDirectoryError: ``account`` cannot get there, or the folder is not its own.
    """
    if account.switched and not account.can_enter(layout.root):
        raise DataDirectoryError(
            layout.root,
            f"the account {ACCOUNT_NAME}, which PostgreSQL runs as since it refuses to run as root, cannot enter it: "
            "set TDS_HOME to a folder below /var/lib/tds or one that others may enter, run TDS as another user, "
            f"{OTHER_DATABASE}.",
        )
    if not layout.run.exists():
        layout.run.mkdir(0o700)
    if layout.run.stat().st_uid == os.geteuid():  # just made, by us or by one who was killed at this point
        account.own(layout.run)
    _check_owner(layout.run, account.uid)


def check_data(layout: Layout, account: Account, major: str) -> bool:
    """Whether there is a data directory; ``False`` if it has to be made first.

    Raises:
        DataDirectoryError: it is another version's, somebody else's, or no data directory at all.
    """
    if not layout.data.exists():
        return False
    _check_owner(layout.data, account.uid)
    version = layout.data / "PG_VERSION"
    if not version.exists():
        if not any(layout.data.iterdir()):
            return False
        raise DataDirectoryError(
            layout.data, "is no data directory of PostgreSQL: move it away or choose another TDS_HOME."
        )
    found = version.read_text().strip()
    if found != major:
        raise DataDirectoryError(
            layout.data,
            f"was made by PostgreSQL {found}, and this is PostgreSQL {major}: dump it with version {found} "
            f"(pg_dumpall), move it away and restore, choose another TDS_HOME, {OTHER_DATABASE}.",
        )
    return True


def _check_owner(directory: Path, uid: int) -> None:
    owner = directory.stat().st_uid
    if owner != uid:
        raise DataDirectoryError(
            directory,
            f"belongs to {_name_of(owner)}, not to {_name_of(uid)}: run TDS as the user it was made by, or choose "
            "another TDS_HOME.",
        )


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
