"""Ed25519 keys and signatures in the file formats of minisign.

Prehashed signatures ("ED": Ed25519 over BLAKE2b-512 of the message) with a trusted comment
that a second, global signature covers. Secret keys are minisign's unencrypted ones (``-W``).
``minisign -V`` verifies what is signed here and the other way round.

Ref: https://jedisct1.github.io/minisign/ (file formats), RFC 8032, RFC 7693.
"""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from lsi.errors import KeyFileError, SignatureMismatchError

MAX_KEY_BYTES: Final = 4096
"""No file in one of these formats is longer, comments included."""
MAX_COMMENT: Final = 1024
KEY_ID_BYTES: Final = 8
SEED_BYTES: Final = 32
PUBLIC_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
_KEY_ALGORITHM: Final = b"Ed"
_PREHASHED: Final = b"ED"
_NO_KDF: Final = b"\0\0"
_CHECKSUM: Final = b"B2"
_KDF_BYTES: Final = 48
"""Salt, operations limit and memory limit; zero in a key without a password."""
_CHECKSUM_BYTES: Final = 32
_PUBLIC_FILE_BYTES: Final = 2 + KEY_ID_BYTES + PUBLIC_BYTES
_SECRET_FILE_BYTES: Final = 6 + _KDF_BYTES + KEY_ID_BYTES + SEED_BYTES + PUBLIC_BYTES + _CHECKSUM_BYTES
_UNTRUSTED: Final = "untrusted comment: "
_TRUSTED: Final = "trusted comment: "


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Whose signatures are believed. ``key_id`` has 8 bytes, ``public`` 32."""

    key_id: bytes
    public: bytes

    def __post_init__(self) -> None:
        if len(self.key_id) != KEY_ID_BYTES or len(self.public) != PUBLIC_BYTES:
            message = f"a public key has {KEY_ID_BYTES} and {PUBLIC_BYTES} bytes"
            raise ValueError(message)

    @property
    def name(self) -> str:
        """The key id as minisign prints it: 16 hexadecimal digits."""
        return key_name(self.key_id)

    def to_text(self) -> bytes:
        """Content of a public key file."""
        packed = _KEY_ALGORITHM + self.key_id + self.public
        return _text(f"{_UNTRUSTED}minisign public key {self.name}", _encoded(packed))

    @classmethod
    def parse(cls, text: bytes, source: str) -> "PublicKey":
        """Read a public key file.

        Raises:
            KeyFileError: Not one of minisign's; ``source`` is named.
        """
        try:
            packed = _decoded(_lines(text, 2)[1], _PUBLIC_FILE_BYTES)
        except ValueError as cause:
            found = f"{source} is not a minisign public key ({cause})."
            raise KeyFileError(found, hint="the .pub file of a key pair.") from cause
        if packed[:2] != _KEY_ALGORITHM:
            found = f"{source} holds a key of algorithm {packed[:2]!r}, not Ed25519."
            raise KeyFileError(found, hint="a key of 'lsi bundle keygen' or 'minisign -G'.")
        return cls(packed[2 : 2 + KEY_ID_BYTES], packed[2 + KEY_ID_BYTES :])

    def check(self, signature: "Signature", message: bytes) -> None:
        """Hold ``message`` and the trusted comment to ``signature``.

        Raises:
            SignatureMismatchError: Either was not signed with this key.
        """
        self.check_comment(signature)
        if not self._signed(_prehash(message), signature.signature):
            found = f"What key {self.name} signed is not this content."
            raise SignatureMismatchError(found)

    def check_comment(self, signature: "Signature") -> None:
        """Hold the trusted comment alone to ``signature``.

        Raises:
            SignatureMismatchError: It was not signed with this key.
        """
        if not self._signed(signature.globally_signed, signature.global_signature):
            raise SignatureMismatchError(f"Key {self.name} did not sign this trusted comment.")

    def made(self, message: bytes, signature: bytes) -> bool:
        """Whether ``signature`` (64 bytes, without a comment) is this key's of ``message``."""
        return self._signed(_prehash(message), signature)

    def _signed(self, message: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signature:
    """A parsed ``.minisig`` file; parsing verifies nothing.

    ``trusted_comment`` is one printable line. Both signatures have 64 bytes.
    """

    key_id: bytes
    signature: bytes
    trusted_comment: str
    global_signature: bytes

    @property
    def key_name(self) -> str:
        """The id of the key that this claims to be made with."""
        return key_name(self.key_id)

    @property
    def globally_signed(self) -> bytes:
        """What the global signature covers."""
        return self.signature + self.trusted_comment.encode()

    def to_text(self, untrusted_comment: str) -> bytes:
        """Content of a signature file."""
        return _text(
            _UNTRUSTED + untrusted_comment,
            _encoded(_PREHASHED + self.key_id + self.signature),
            _TRUSTED + self.trusted_comment,
            _encoded(self.global_signature),
        )

    @classmethod
    def parse(cls, text: bytes, source: str) -> "Signature":
        """Read a signature file.

        Raises:
            SignatureMismatchError: Not one of minisign's, or of its older form that signs
                the message itself instead of its hash; ``source`` is named.
        """
        try:
            _, packed_line, comment, global_line = _lines(text, 4)
            packed = _decoded(packed_line, 2 + KEY_ID_BYTES + SIGNATURE_BYTES)
            global_signature = _decoded(global_line, SIGNATURE_BYTES)
            trusted_comment = _after(_TRUSTED, comment)
        except ValueError as cause:
            found = f"{source} is not a minisign signature ({cause})."
            raise SignatureMismatchError(found, hint="copy the file again, or sign again.") from cause
        if packed[:2] != _PREHASHED:
            found = f"{source} is a signature of algorithm {packed[:2]!r}, not prehashed Ed25519."
            raise SignatureMismatchError(found, hint="'lsi bundle sign', or 'minisign -S' without -l.")
        middle = 2 + KEY_ID_BYTES
        return cls(packed[2:middle], packed[middle:], trusted_comment, global_signature)


@dataclass(frozen=True, slots=True, repr=False)
class SecretKey:
    """What signs. ``key_id`` has 8 bytes, ``seed`` 32; ``repr`` shows the id alone."""

    key_id: bytes
    seed: bytes

    def __post_init__(self) -> None:
        if len(self.key_id) != KEY_ID_BYTES or len(self.seed) != SEED_BYTES:
            message = f"a secret key has {KEY_ID_BYTES} and {SEED_BYTES} bytes"
            raise ValueError(message)

    def __repr__(self) -> str:
        return f"SecretKey({key_name(self.key_id)})"

    @classmethod
    def generate(cls) -> "SecretKey":
        """A new key with a random id."""
        return cls(secrets.token_bytes(KEY_ID_BYTES), secrets.token_bytes(SEED_BYTES))

    @property
    def public_key(self) -> PublicKey:
        """The other half."""
        return PublicKey(self.key_id, self._private().public_key().public_bytes_raw())

    def to_text(self) -> bytes:
        """Content of a secret key file without a password."""
        pair = self.key_id + self.seed + self.public_key.public
        head = _KEY_ALGORITHM + _NO_KDF + _CHECKSUM + bytes(_KDF_BYTES)
        comment = f"{_UNTRUSTED}minisign secret key {key_name(self.key_id)}"
        return _text(comment, _encoded(head + pair + _checksum(pair)))

    @classmethod
    def parse(cls, text: bytes, source: str) -> "SecretKey":
        """Read a secret key file.

        Raises:
            KeyFileError: Not one of minisign's, or one with a password; ``source`` is named.
        """
        try:
            packed = _decoded(_lines(text, 2)[1], _SECRET_FILE_BYTES)
        except ValueError as cause:
            found = f"{source} is not a minisign secret key ({cause})."
            raise KeyFileError(found, hint="the .key file of a key pair.") from cause
        if packed[:2] != _KEY_ALGORITHM or packed[4:6] != _CHECKSUM:
            found = f"{source} is a secret key of a kind that is not known here."
            raise KeyFileError(found, hint="a key of 'lsi bundle keygen' or 'minisign -G -W'.")
        if packed[2:4] != _NO_KDF:
            found = f"{source} is a secret key with a password."
            raise KeyFileError(found, hint="a copy without it: minisign -C -W -s FILE.")
        return cls._unpacked(packed[6 + _KDF_BYTES :], source)

    def sign(self, message: bytes, trusted_comment: str) -> Signature:
        """Sign ``message`` together with a comment.

        Raises:
            ValueError: A comment that is not one printable line of at most 1,024 characters.
        """
        if not trusted_comment.isprintable() or len(trusted_comment) > MAX_COMMENT:
            refusal = f"a trusted comment is one printable line of at most {MAX_COMMENT} characters"
            raise ValueError(refusal)
        private = self._private()
        signature = private.sign(_prehash(message))
        covered = signature + trusted_comment.encode()
        return Signature(self.key_id, signature, trusted_comment, private.sign(covered))

    @classmethod
    def _unpacked(cls, tail: bytes, source: str) -> "SecretKey":
        pair, checksum = tail[:-_CHECKSUM_BYTES], tail[-_CHECKSUM_BYTES:]
        key = cls(pair[:KEY_ID_BYTES], pair[KEY_ID_BYTES : KEY_ID_BYTES + SEED_BYTES])
        # minisign leaves the checksum of a key without a password zero.
        is_whole = checksum in {bytes(_CHECKSUM_BYTES), _checksum(pair)}
        if not is_whole or not hmac.compare_digest(pair[-PUBLIC_BYTES:], key.public_key.public):
            found = f"{source} is a damaged secret key: its halves do not belong together."
            raise KeyFileError(found, hint="a copy of the file.")
        return key

    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)


def key_name(key_id: bytes) -> str:
    """A key id as minisign prints it: a little-endian number in hexadecimal."""
    return f"{int.from_bytes(key_id, 'little'):016X}"


def _prehash(message: bytes) -> bytes:
    return hashlib.blake2b(message, digest_size=64).digest()


def _checksum(pair: bytes) -> bytes:
    return hashlib.blake2b(_KEY_ALGORITHM + pair, digest_size=_CHECKSUM_BYTES).digest()


def _text(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _encoded(packed: bytes) -> str:
    return base64.b64encode(packed).decode()


def _lines(text: bytes, count: int) -> list[str]:
    """Exactly ``count`` lines of printable text, the first an untrusted comment.

    Raises:
        ValueError: Anything else. No message holds content: it may be a secret key.
    """
    if len(text) > MAX_KEY_BYTES:
        message = f"longer than {MAX_KEY_BYTES} bytes"
        raise ValueError(message)
    try:
        lines = text.decode().replace("\r\n", "\n").removesuffix("\n").split("\n")
    except UnicodeDecodeError:
        lines = []
    if len(lines) != count or not all(line.isprintable() for line in lines):
        message = f"not {count} lines of text"
        raise ValueError(message)
    _after(_UNTRUSTED, lines[0])
    return lines


def _after(prefix: str, line: str) -> str:
    if not line.startswith(prefix):
        message = f"no line that begins with {prefix.strip()!r}"
        raise ValueError(message)
    return line.removeprefix(prefix)


def _decoded(line: str, size: int) -> bytes:
    """``size`` bytes in base64, in the one form that encoding them gives."""
    try:
        packed = base64.b64decode(line.encode(), validate=True)
    except ValueError:
        packed = b""
    if len(packed) != size or _encoded(packed) != line:
        message = f"no {size} bytes in base64"
        raise ValueError(message)
    return packed
