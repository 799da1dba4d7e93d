"""Key files on disk: who may read them, and that none is lost."""

import os
import stat
from pathlib import Path
from typing import Final

from lsi.errors import KeyFileError
from lsi.minisign import MAX_KEY_BYTES, PublicKey, SecretKey

KEY_SUFFIX: Final = ".key"
PUBLIC_SUFFIX: Final = ".pub"
_SECRET_MODE: Final = 0o600
_PUBLIC_MODE: Final = 0o644
_OPEN_TO_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def write_key_pair(key: SecretKey, stem: Path) -> tuple[Path, Path]:
    """Write ``stem.key`` (mode 0600) and ``stem.pub``.

    Returns:
        The paths of the secret and of the public key.

    Raises:
        KeyFileError: One of them is there already, or the folder cannot be written to.
    """
    secret = stem.with_name(stem.name + KEY_SUFFIX)
    public = stem.with_name(stem.name + PUBLIC_SUFFIX)
    for path in (secret, public):
        if path.exists() or path.is_symlink():
            found = f"{path} exists; a key is never overwritten."
            raise KeyFileError(found, hint="another name, or move the old key away.")
    _write_new(secret, key.to_text(), _SECRET_MODE)
    _write_new(public, key.public_key.to_text(), _PUBLIC_MODE)
    return secret, public


def read_secret_key(path: Path) -> SecretKey:
    """Read a secret key that nobody but its owner can read.

    Raises:
        KeyFileError: Not readable, open to others, or not a minisign key.
    """
    return SecretKey.parse(_read(path, forbidden=_OPEN_TO_OTHERS), str(path))


def read_public_key(path: Path) -> PublicKey:
    """Read a public key.

    Raises:
        KeyFileError: Not readable, or not a minisign key.
    """
    return PublicKey.parse(_read(path, forbidden=0), str(path))


def _read(path: Path, forbidden: int) -> bytes:
    try:
        with path.open("rb") as file:
            # Of the open file, so that it cannot be exchanged in between.
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & forbidden:
                found = f"Secret key {path} is open to others (mode {mode:04o})."
                raise KeyFileError(found, hint=f"chmod 600 {path}")
            return file.read(MAX_KEY_BYTES + 1)
    except OSError as cause:
        found = f"Key {path} cannot be read ({cause.strerror})."
        raise KeyFileError(found, hint="a key of 'lsi bundle keygen'.") from cause


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except OSError as cause:
        found = f"Key {path} cannot be written ({cause.strerror})."
        raise KeyFileError(found, hint="a folder that exists and is yours, and a new name.") from cause
