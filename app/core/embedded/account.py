"""Who PostgreSQL runs as.

PostgreSQL refuses to run as root, and there is no way around it: whoever could make the server write a file
would own the machine. So under root it runs as the system account ``tds-postgres``, which is made when it
is missing. Anybody else runs it as himself.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from app.core.embedded.errors import OTHER_DATABASE, ServerAccountError

__all__ = ["ACCOUNT_NAME", "Account", "environment", "server_account", "this_account"]

ACCOUNT_NAME = "tds-postgres"


@dataclass(frozen=True, slots=True)
class Account:
    """A user and his group; ``switched`` if it is not the one this process runs as."""

    name: str
    uid: int
    gid: int
    switched: bool

    def run(
        self,
        argv: Sequence[str],
        *,
        text: bytes = b"",
        output: IO[bytes] | int = subprocess.PIPE,
        pass_fds: Sequence[int] = (),
        new_session: bool = False,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command as this account, with no groups but its own, an environment of ours, and ``text`` to read.

        Raises:
            OSError: it cannot be run, by this account at least.
        """
        return subprocess.run(  # noqa: S603 - argv is ours, and no shell takes it apart
            argv,
            input=text,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=environment(),
            pass_fds=pass_fds,
            start_new_session=new_session,
            user=self.uid if self.switched else None,
            group=self.gid if self.switched else None,
            extra_groups=() if self.switched else None,
            check=False,
        )

    def can_enter(self, directory: Path) -> bool:
        """Whether this account gets into ``directory``: tried, since modes tell only half of it.

        Raises:
            ServerAccountError: nothing at all can be run as this account.
        """
        try:
            return self.run(["/bin/sh", "-c", 'cd -- "$1"', "sh", str(directory)]).returncode == 0
        except OSError as error:
            raise ServerAccountError(
                f"PostgreSQL refuses to run as root, and this process may not become {self.name} ({error.strerror}): "
                f"run TDS as another user, {OTHER_DATABASE}."
            ) from error

    def own(self, directory: Path) -> None:
        """Make a folder that we just created this account's."""
        if self.switched:
            os.chown(directory, self.uid, self.gid)


def environment() -> Mapping[str, str]:
    """Without ``PG*`` variables, which would change what the programs of PostgreSQL do."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    return {"PATH": os.defpath, **kept, "LC_ALL": "C", "TZ": "UTC"}


def this_account() -> Account:
    """The one that this process runs as."""
    return Account(_name_of(os.geteuid()), os.geteuid(), os.getegid(), switched=False)


def server_account() -> Account:
    """The account that the server runs as, made if this process is root and it is missing.

    Raises:
        ServerAccountError: it cannot be made.
    """
    if os.geteuid() != 0:
        return this_account()
    entry = _find() or _create()
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, switched=True)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # containers run under any number
        return str(uid)


def _find() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(ACCOUNT_NAME)
    except KeyError:
        return None


def _create() -> pwd.struct_passwd:
    shell = shutil.which("nologin", path="/usr/sbin:/sbin:/usr/bin:/bin") or "/bin/false"
    argv = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", "--shell", shell]
    try:
        done = subprocess.run([*argv, ACCOUNT_NAME], capture_output=True, text=True, check=False)  # noqa: S603
        reason = done.stderr.strip()
    except OSError as error:
        reason = f"useradd: {error.strerror}"
    entry = _find()  # asked again whatever useradd says: somebody else may have been quicker
    if entry is None:
        raise ServerAccountError(
            f"PostgreSQL refuses to run as root, and the account {ACCOUNT_NAME} cannot be made ({reason}): make a "
            f"system account of that name, run TDS as another user, {OTHER_DATABASE}."
        )
    return entry
