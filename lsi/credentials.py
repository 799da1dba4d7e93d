"""Secrets that systemd hands to the service: ``credential:NAME`` in place of a path."""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lsi.errors import AppConfigError

PREFIX: Final = "credential:"
DIRECTORY: Final = "CREDENTIALS_DIRECTORY"
"""Set by systemd for a unit with LoadCredential= or the like, see its manual page systemd.exec."""
SERVICE_FOLDER: Final = Path("/run/credentials/lsi-edge.service")
"""Where systemd keeps them while the service runs; root can read them there."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def credential_path(value: str, environ: Mapping[str, str]) -> Path | None:
    """The file that ``value`` names as a credential; ``None`` for an ordinary path.

    Raises:
        AppConfigError: A name that is none.
    """
    if not value.startswith(PREFIX):
        return None
    name = value.removeprefix(PREFIX)
    if not _NAME.fullmatch(name):
        raise AppConfigError(f"'{value}' names no credential.", hint="credential:mqtt_device.key")
    return _folder(environ) / name


def is_credential(path: Path, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether ``path`` is one that systemd gave, which nobody but systemd can replace."""
    return path.parent == _folder(environ)


def forbidden_mode(path: Path, environ: Mapping[str, str] = os.environ) -> int:
    """Mode bits that the private key at ``path`` must not have.

    Since version 254 systemd gives a service its credentials by an access control list, and what the
    list allows shows as the group's bit: mode 0440, read by nobody else (systemd issue 29435).
    """
    others = stat.S_IRWXG | stat.S_IRWXO
    return others & ~stat.S_IRGRP if is_credential(path, environ) else others


def _folder(environ: Mapping[str, str]) -> Path:
    given = Path(environ.get(DIRECTORY, ""))
    return given if given.is_absolute() else SERVICE_FOLDER
