"""Keys to whom latents are sealed: the host holds the secret half, a device the public one alone."""

import base64
import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from lsi.errors import KeyFileError
from lsi.key_files import KEY_SUFFIX, PUBLIC_SUFFIX, read_public_file, read_secret_file, write_pair

PUBLIC_ID: Final = "lsi.host-key/1"
SECRET_ID: Final = "lsi.host-secret-key/1"  # noqa: S105 - the name of a format
KEY_BYTES: Final = 32
KID_DIGITS: Final = 16
LIFE: Final = dt.timedelta(days=90)
"""A key is made anew as often: what one key opens is bounded."""


@dataclass(frozen=True, slots=True, repr=False)
class HostPublicKey:
    """X25519, 32 bytes; ``created`` is the day it was made, from which it is sealed to for ``LIFE``."""

    public: bytes
    created: dt.date

    def __post_init__(self) -> None:
        if len(self.public) != KEY_BYTES:
            message = f"a public key of {len(self.public)} bytes, not {KEY_BYTES}"
            raise ValueError(message)

    def __repr__(self) -> str:
        return f"HostPublicKey({self.kid}, {self.created})"

    @property
    def kid(self) -> str:
        """Its name: the first digits of its SHA-256."""
        return hashlib.sha256(self.public).hexdigest()[:KID_DIGITS]

    @property
    def expires(self) -> dt.date:
        """The last day on which a device seals to it."""
        return self.created + LIFE

    def loaded(self) -> X25519PublicKey:
        """The key for ``cryptography``."""
        return X25519PublicKey.from_public_bytes(self.public)


@dataclass(frozen=True, slots=True, repr=False)
class HostSecretKey:
    """The other half. ``repr`` shows the name alone."""

    secret: bytes
    created: dt.date

    @classmethod
    def generate(cls, today: dt.date) -> "HostSecretKey":
        """A new key."""
        return cls(X25519PrivateKey.generate().private_bytes_raw(), today)

    @property
    def public_key(self) -> HostPublicKey:
        """What devices get."""
        return HostPublicKey(self.loaded().public_key().public_bytes_raw(), self.created)

    def loaded(self) -> X25519PrivateKey:
        """The key for ``cryptography``."""
        return X25519PrivateKey.from_private_bytes(self.secret)

    def __repr__(self) -> str:
        return f"HostSecretKey({self.public_key.kid})"


def write_host_key(key: HostSecretKey, stem: Path) -> tuple[Path, Path]:
    """Write ``stem.key`` (mode 0600) and ``stem.pub``; the paths of both.

    Raises:
        KeyFileError: One of them is there already, or the folder cannot be written to.
    """
    public = key.public_key
    return write_pair(
        stem, _written(SECRET_ID, key.secret, public), _written(PUBLIC_ID, public.public, public)
    )


def read_host_public_key(path: Path) -> HostPublicKey:
    """Read a public key.

    Raises:
        KeyFileError: Not readable, or no public key of a host.
    """
    try:
        packed, created, kid = _parsed(read_public_file(path), PUBLIC_ID)
        key = HostPublicKey(packed, created)
        return _named(key, kid)
    except (ValueError, KeyError, TypeError, RecursionError) as cause:
        raise _no_key(path, PUBLIC_SUFFIX, cause) from cause


def read_host_secret_key(path: Path) -> HostSecretKey:
    """Read a secret key that nobody but its owner can read.

    Raises:
        KeyFileError: Not readable, open to others, or no secret key of a host.
    """
    try:
        packed, created, kid = _parsed(read_secret_file(path), SECRET_ID)
        key = HostSecretKey(packed, created)
        _named(key.public_key, kid)
    except (ValueError, KeyError, TypeError, RecursionError) as cause:
        raise _no_key(path, KEY_SUFFIX, cause) from None  # its text may hold the key
    return key


def _written(what: str, packed: bytes, public: HostPublicKey) -> bytes:
    document = {
        "v": what,
        "kid": public.kid,
        "created": public.created.isoformat(),
        "key": base64.b64encode(packed).decode(),
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def _parsed(text: bytes, what: str) -> tuple[bytes, dt.date, str]:
    document: Any = json.loads(text)
    if set(document) != {"v", "kid", "created", "key"} or document["v"] != what:
        raise ValueError(what)
    packed = base64.b64decode(document["key"], validate=True)
    return packed, dt.date.fromisoformat(document["created"]), document["kid"]


def _named(key: HostPublicKey, kid: str) -> HostPublicKey:
    if key.kid != kid:
        raise ValueError(kid)
    return key


def _no_key(path: Path, suffix: str, cause: Exception) -> KeyFileError:
    if isinstance(cause, KeyFileError):
        return cause
    return KeyFileError(f"{path} is no key of a host.", hint=f"the {suffix} file of 'lsi keys new'.")
