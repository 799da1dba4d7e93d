"""``AttributePayload``: the only thing about a scene that leaves the device.

It has no field that could hold a measurement, a latent or a probability: one
yes / no / null for presence, one for each allowed attribute, and where it came from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from lsi.errors import PayloadError
from lsi.schema import ATTR_SCHEMA_ID, decode_document, encode_document
from lsi.stamp import stamp_of, stamped

MS_DECIMALS: Final = 1
"""Times are told to a tenth of a millisecond: enough for a person, little for a side channel."""


@dataclass(frozen=True, slots=True)
class AttributePayload:
    """Live state of one sensor after one scan.

    ``stream`` is drawn at random at every service start and ``seq`` counts its scans,
    so a gap in ``seq`` is a scan without payload. ``face`` is ``None`` when it is not
    known; then, and when it is ``False``, every attribute is ``None``.
    ``ts`` is RFC 3339 UTC with milliseconds, to be trusted when ``clock`` is "ntp".
    """

    device_id: str
    stream: str
    seq: int
    ts: str
    clock: str
    bundle: str
    face: bool | None
    attributes: Mapping[str, bool | None]
    scan_ms: float
    infer_ms: float

    def __post_init__(self) -> None:
        if self.face is not True and any(value is not None for value in self.attributes.values()):
            raise PayloadError("Attributes are known although no face is.")
        object.__setattr__(self, "attributes", MappingProxyType(dict(self.attributes)))
        object.__setattr__(self, "scan_ms", round(self.scan_ms, MS_DECIMALS))
        object.__setattr__(self, "infer_ms", round(self.infer_ms, MS_DECIMALS))

    def encode(self) -> bytes:
        """Compact UTF-8 JSON that fits schema ``attr``.

        Raises:
            PayloadError: Longer than ``MAX_PAYLOAD_BYTES``.
        """
        document = stamped(ATTR_SCHEMA_ID, self) | {
            "face": self.face,
            "a": dict(self.attributes),
            "ms": {"scan": self.scan_ms, "infer": self.infer_ms},
        }
        return encode_document(document)

    @classmethod
    def decode(cls, encoded: bytes) -> "AttributePayload":
        """Read what :meth:`encode` wrote; input from a broker is not trusted.

        Raises:
            PayloadError: Too long, not JSON, or against the schema.
        """
        return cls.of(decode_document(encoded, "attr"))

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "AttributePayload":
        """The value of a document that fits schema ``attr``.

        Raises:
            PayloadError: A rule that a schema cannot say.
        """
        return cls(
            **stamp_of(document),
            face=document["face"],
            attributes=document["a"],
            scan_ms=document["ms"]["scan"],
            infer_ms=document["ms"]["infer"],
        )
