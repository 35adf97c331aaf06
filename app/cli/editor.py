"""Documents from files, from standard input, or from the user's own editor."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

from app.cli.failures import UsageError

__all__ = ["edit_document", "read_document"]


def read_document(path: str) -> dict[str, Any]:
    """The JSON object in a file; ``-`` is standard input.

    Raises:
        UsageError: there is none.
    """
    where = "standard input" if path == "-" else path
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{where} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{where} does not hold text") from error
    return _parsed(text, where)


def edit_document(document: dict[str, Any]) -> dict[str, Any]:
    """The document as the user leaves it in $VISUAL or $EDITOR.

    Raises:
        UsageError: there is no editor or it failed, or what it left is no JSON object; that is kept then.
    """
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not command:
        raise UsageError("set EDITOR to an editor, or give the mended document: --payload FILE")
    with tempfile.NamedTemporaryFile("w", suffix=".json", prefix="tds-", encoding="utf-8", delete=False) as file:
        file.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
    try:
        subprocess.run([*shlex.split(command), file.name], check=True)  # noqa: S603 - the user's own choice
    except (OSError, subprocess.CalledProcessError) as error:
        Path(file.name).unlink(missing_ok=True)
        raise UsageError(f"the editor did not end well: {error}") from error
    mended = read_document(file.name)
    Path(file.name).unlink(missing_ok=True)
    return mended


def _parsed(text: str, where: str) -> dict[str, Any]:
    try:
        given = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{where} does not hold JSON: {error}") from error
    if not isinstance(given, dict):
        raise UsageError(f"{where} must hold a JSON object: the document")
    return cast("dict[str, Any]", given)
