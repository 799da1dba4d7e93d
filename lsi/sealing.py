"""Sealed latents: an envelope that only the host opens and that only the device can have made.

HPKE (RFC 9180, base mode) to the host's public key; the header is its ``info``, so that none of it can be
changed. Base mode does not say who sealed, so the device signs header and ciphertext. CBOR in its
deterministic form (RFC 8949, 4.2): one envelope has one spelling. The sealer keeps no secret: who takes the
device later opens nothing that it sent before.

Needs the extra ``latent``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from lsi.errors import SealError, SignatureMismatchError
from lsi.host_keys import KID_DIGITS, HostPublicKey, HostSecretKey
from lsi.minisign import PublicKey, SecretKey
from lsi.strict_json import MAX_INTEGER
from lsi.topics import DEVICE_ID

LATENT_SCHEMA_ID: Final = "lsi.latent/1"
MAX_SEALED_BYTES: Final = 65_536
CONTENT_TYPE: Final = "application/vnd.lsi.sealed+cbor"
SUITE: Final = "X25519-HKDF-SHA256-ChaCha20Poly1305"
OVERHEAD_BYTES: Final = 48
"""32 bytes of an ephemeral key and 16 of an authentication tag."""
ITEM_BYTES: Final[Mapping[str, int]] = {"float16": 2, "float32": 4}
MAX_SIDE: Final = 1_024
SIGNATURE_BYTES: Final = 64
STREAM_DIGITS: Final = 16
BUNDLE_DIGITS: Final = 8
TS_CHARACTERS: Final = len("2026-01-01T12:00:00.000Z")
_SIGNED: Final = b"lsi.latent/1 signature\0"
_BOUND: Final = b"lsi.latent/1\0"
_COMMENT: Final = "lsi.latent/1"
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
_HEX: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class SealedHeader:
    """What anybody can read of an envelope, and nobody can change.

    ``kid`` names the host's key, ``shape`` and ``dtype`` say what the plaintext is: little-endian numbers
    in row order.

    Raises:
        SealError: A value that no envelope may have.
    """

    device_id: str
    stream: str
    seq: int
    ts: str
    clock: str
    bundle: str
    kid: str
    shape: tuple[int, int]
    dtype: str

    def __post_init__(self) -> None:
        if not all(self._facts()):
            raise SealError(
                "The header of a latent is out of its bounds.", hint="a sensor of the same version."
            )

    @property
    def plaintext_bytes(self) -> int:
        """How long the latent is."""
        return self.shape[0] * self.shape[1] * ITEM_BYTES[self.dtype]

    def _facts(self) -> tuple[bool, ...]:
        texts = (self.device_id, self.stream, self.ts, self.clock, self.bundle, self.kid, self.dtype)
        if not all(type(each) is str for each in texts) or type(self.seq) is not int:
            return (False,)
        return (
            DEVICE_ID.fullmatch(self.device_id) is not None,
            _is_hex(self.stream, STREAM_DIGITS),
            1 <= self.seq <= MAX_INTEGER,
            len(self.ts) == TS_CHARACTERS and self.ts.isascii(),
            self.clock in {"ntp", "unsynced"},
            _is_hex(self.bundle, BUNDLE_DIGITS),
            _is_hex(self.kid, KID_DIGITS),
            _is_shape(self.shape),
            self.dtype in ITEM_BYTES,
        )


@dataclass(frozen=True, slots=True)
class Envelope:
    """A parsed envelope; parsing verifies nothing."""

    header: SealedHeader
    ciphertext: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def seal(plaintext: bytes, header: SealedHeader, host: HostPublicKey, device: SecretKey) -> bytes:
    """The envelope with ``plaintext`` for ``host``, signed by ``device``.

    Raises:
        SealError: The header names another key, or a latent of another size; or the envelope is too long.
    """
    if header.kid != host.kid or len(plaintext) != header.plaintext_bytes:
        raise SealError("A latent does not fit the header it would be sealed with.")
    ciphertext = _SUITE.encrypt(plaintext, host.loaded(), info=_bound(header))
    signature = device.sign(_signed(header, ciphertext), _COMMENT).signature
    encoded = cbor2.dumps({**_document(header), "ct": ciphertext, "sig": signature}, canonical=True)
    if len(encoded) > MAX_SEALED_BYTES:
        found = f"A sealed latent of {len(encoded)} bytes, at most {MAX_SEALED_BYTES} may leave."
        raise SealError(found, hint="a smaller latent space, or float16.")
    return encoded


def parse_envelope(encoded: bytes) -> Envelope:
    """Read an envelope without opening it; input from a broker is not trusted.

    Raises:
        SealError: Too long, not CBOR, not in its one spelling, or out of bounds.
    """
    if len(encoded) > MAX_SEALED_BYTES:
        raise SealError(f"A latent payload of {len(encoded)} bytes, at most {MAX_SEALED_BYTES} are read.")
    document = _map_of(encoded)
    try:
        ciphertext, signature = document.pop("ct"), document.pop("sig")
        header = _header_of(document)
        fits = (
            type(ciphertext) is bytes
            and type(signature) is bytes
            and len(signature) == SIGNATURE_BYTES
            and len(ciphertext) == header.plaintext_bytes + OVERHEAD_BYTES
        )
        whole = {**_document(header), "ct": ciphertext, "sig": signature}
        is_canonical = fits and cbor2.dumps(whole, canonical=True) == encoded
    except (KeyError, TypeError, ValueError, AttributeError) as cause:
        raise SealError("A latent payload lacks what an envelope has.") from cause
    if not is_canonical:
        raise SealError("A latent payload is not an envelope in its one spelling.")
    return Envelope(header, ciphertext, signature)


def check_sealer(envelope: Envelope, device: PublicKey) -> None:
    """Hold an envelope to the key of the device that should have made it.

    Raises:
        SignatureMismatchError: Another key signed it, or it was changed.
    """
    signed = _signed(envelope.header, envelope.ciphertext)
    if not device.made(signed, envelope.signature):
        found = f"A latent was not made by the device with key {device.name}."
        raise SignatureMismatchError(found, hint="the public key of that device, and drop the message.")


def open_envelope(envelope: Envelope, host: HostSecretKey, device: PublicKey) -> bytes:
    """What is sealed in an envelope, once its maker is known.

    Raises:
        SignatureMismatchError: Another key signed it, or it was changed.
        SealError: It is sealed to another key.
    """
    check_sealer(envelope, device)
    kid = host.public_key.kid
    if envelope.header.kid != kid:
        found = f"A latent is sealed to key {envelope.header.kid}, not to {kid}."
        raise SealError(found, hint="the secret key of that name.")
    try:
        plaintext: bytes = _SUITE.decrypt(envelope.ciphertext, host.loaded(), info=_bound(envelope.header))
    except InvalidTag as cause:
        raise SealError("A latent cannot be opened: it was sealed to something else.") from cause
    return plaintext


def _document(header: SealedHeader) -> dict[str, Any]:
    return {
        "v": LATENT_SCHEMA_ID,
        "dev": header.device_id,
        "stream": header.stream,
        "seq": header.seq,
        "ts": header.ts,
        "clock": header.clock,
        "bundle": header.bundle,
        "kid": header.kid,
        "suite": SUITE,
        "shape": list(header.shape),
        "dtype": header.dtype,
    }


def _header_of(document: Mapping[str, Any]) -> SealedHeader:
    header = SealedHeader(
        device_id=document["dev"],
        stream=document["stream"],
        seq=document["seq"],
        ts=document["ts"],
        clock=document["clock"],
        bundle=document["bundle"],
        kid=document["kid"],
        shape=tuple(document["shape"]),
        dtype=document["dtype"],
    )
    if _document(header) != document:
        raise SealError("A latent payload of another version or suite.", hint="a sensor of the same version.")
    return header


def _map_of(encoded: bytes) -> dict[Any, Any]:
    try:
        document = cbor2.loads(encoded)
    # The decoder raises its own kind for most faults and lets others through, by the value it met.
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as cause:
        raise SealError("A latent payload is not CBOR.") from cause
    if type(document) is not dict:
        raise SealError("A latent payload is not a map.")
    return document


def _bound(header: SealedHeader) -> bytes:
    return _BOUND + cbor2.dumps(_document(header), canonical=True)


def _signed(header: SealedHeader, ciphertext: bytes) -> bytes:
    return _SIGNED + cbor2.dumps({**_document(header), "ct": ciphertext}, canonical=True)


def _is_hex(text: str, digits: int) -> bool:
    return len(text) == digits and set(text) <= _HEX


def _is_shape(shape: Sequence[object]) -> bool:
    """Layers and width."""
    return [type(side) is int and side in range(1, MAX_SIDE + 1) for side in shape] == [True, True]
