"""``SealedRecord``: a latent as the broker carries it, its header readable and everything else sealed.

Only who holds the host's private key opens it (``lsi open``). Here it is numbered, stored and handed on as it
came; nothing is verified yet.
"""

from dataclasses import dataclass, field

from lsi.errors import PayloadError, SealError
from lsi.sealing import SealedHeader, parse_envelope


@dataclass(frozen=True, slots=True)
class SealedRecord:
    """A sealed latent. ``sealed`` is the whole envelope; ``repr`` leaves it out.

    The header is unverified: good for a key, no proof of who sent it.
    """

    header: SealedHeader
    sealed: bytes = field(repr=False)

    @property
    def device_id(self) -> str:
        """The device that the header names."""
        return self.header.device_id

    @property
    def stream(self) -> str:
        """The start of that device."""
        return self.header.stream

    @property
    def seq(self) -> int:
        """The number of the record in its stream."""
        return self.header.seq

    @classmethod
    def decode(cls, encoded: bytes) -> "SealedRecord":
        """Read the outside of an envelope; input from a broker is not trusted.

        Raises:
            PayloadError: Too long, not CBOR, or no envelope.
        """
        try:
            return cls(parse_envelope(encoded).header, encoded)
        except SealError as error:
            raise PayloadError(error.found) from error
