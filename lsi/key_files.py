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
    return write_pair(stem, key.to_text(), key.public_key.to_text())


def write_pair(stem: Path, secret_text: bytes, public_text: bytes) -> tuple[Path, Path]:
    """Write ``stem.key`` (mode 0600) and ``stem.pub`` with these contents; see :func:`write_key_pair`."""
    secret = stem.with_name(stem.name + KEY_SUFFIX)
    public = stem.with_name(stem.name + PUBLIC_SUFFIX)
    for path in (secret, public):
        if path.exists() or path.is_symlink():
            found = f"{path} exists; a key is never overwritten."
            raise KeyFileError(found, hint="another name, or move the old key away.")
    _write_new(secret, secret_text, _SECRET_MODE)
    _write_new(public, public_text, _PUBLIC_MODE)
    return secret, public


def read_secret_key(path: Path) -> SecretKey:
    """Read a secret key that nobody but its owner can read.

    Raises:
        KeyFileError: Not readable, open to others, or not a minisign key.
    """
    return SecretKey.parse(read_secret_file(path), str(path))


def read_public_key(path: Path) -> PublicKey:
    """Read a public key.

    Raises:
        KeyFileError: Not readable, or not a minisign key.
    """
    return PublicKey.parse(read_public_file(path), str(path))


def read_secret_file(path: Path) -> bytes:
    """At most one byte more than a key file has, of a file that nobody but its owner can read.

    Raises:
        KeyFileError: Not readable, or open to others.
    """
    return _read(path, forbidden=_OPEN_TO_OTHERS)


def read_public_file(path: Path) -> bytes:
    """The same of a file that anybody may read."""
    return _read(path, forbidden=0)


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
