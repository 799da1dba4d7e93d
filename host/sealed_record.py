"""``SealedRecord``: a latent as the broker carries it, its key readable and everything else sealed.

Only who holds the host's private key opens it. Here the outer map is read, enough to number,
store and hand on the bytes as they came; nothing is verified yet.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import cbor2

from lsi.errors import PayloadError
from lsi.topics import DEVICE_ID

LATENT_SCHEMA_ID: Final = "lsi.latent/1"
MAX_SEALED_BYTES: Final = 65_536
"""A latent of 18 x 512 numbers in four bytes each has 37 kB, sealed and signed a little more."""

MAX_SEQ: Final = 2**53 - 1
_STREAM_DIGITS: Final = 16
_HEX: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class SealedRecord:
    """A sealed latent. ``sealed`` is the whole envelope; ``repr`` leaves it out.

    What stands beside it comes from the envelope's unverified header: good for a key,
    no proof of who sent it. ``ts`` is empty where the header has none.
    """

    device_id: str
    stream: str
    seq: int
    ts: str
    sealed: bytes = field(repr=False)

    @classmethod
    def decode(cls, encoded: bytes) -> "SealedRecord":
        """Read the outside of an envelope; input from a broker is not trusted.

        Raises:
            PayloadError: Too long, not CBOR, or without the key of a record.
        """
        if len(encoded) > MAX_SEALED_BYTES:
            found = f"latent payload of {len(encoded)} bytes, at most {MAX_SEALED_BYTES} are read."
            raise PayloadError(found)
        header = _outer_map(encoded)
        if header.get("v") != LATENT_SCHEMA_ID:
            raise PayloadError(f"latent payload is not {LATENT_SCHEMA_ID}.")
        device_id, stream, seq = (header.get(name) for name in ("dev", "stream", "seq"))
        if not isinstance(device_id, str) or not DEVICE_ID.fullmatch(device_id):
            raise PayloadError("latent payload names no device.")
        if not isinstance(stream, str) or len(stream) != _STREAM_DIGITS or not set(stream) <= _HEX:
            raise PayloadError("latent payload names no stream.")
        if type(seq) is not int or not 1 <= seq <= MAX_SEQ:
            raise PayloadError("latent payload has no seq.")
        ts = header.get("ts")
        return cls(device_id, stream, seq, ts if isinstance(ts, str) else "", encoded)


def _outer_map(encoded: bytes) -> dict[Any, Any]:
    try:
        document = cbor2.loads(encoded)
    # The decoder raises its own kind for most faults and lets others through, by the value it met.
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as cause:
        raise PayloadError("latent payload is not CBOR.") from cause
    if not isinstance(document, dict):
        raise PayloadError("latent payload is not a map.")
    return document
