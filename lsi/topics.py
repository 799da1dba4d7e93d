"""The topic tree ``lsi/v1/<device_id>/<kind>`` that device and subscribers share."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ROOT: Final = "lsi/v1"
DEVICE_ID: Final = re.compile(r"[a-z0-9_-]{1,32}")


class Kind(StrEnum):
    """The last level of a topic: what its messages hold."""

    AVAILABILITY = "availability"
    INFO = "info"
    ATTR = "attr"
    HEALTH = "health"
    EVENT = "event"
    AGG = "agg"
    LATENT = "latent"
    UPDATE = "update"


class Availability(StrEnum):
    """The two payloads of the availability topic; Home Assistant knows no third."""

    ONLINE = "online"
    OFFLINE = "offline"


RETAINED: Final = frozenset({Kind.AVAILABILITY, Kind.INFO, Kind.UPDATE})
"""Attribute values are never retained: they would be personal data without an owner."""

RECORDS: Final = frozenset({Kind.EVENT, Kind.AGG, Kind.LATENT})
"""Kept on the device until the broker has them; their key is (device, stream, seq)."""

QOS: Final = {
    Kind.AVAILABILITY: 1,
    Kind.INFO: 1,
    Kind.ATTR: 1,
    Kind.HEALTH: 0,
    Kind.EVENT: 1,
    Kind.AGG: 1,
    Kind.LATENT: 1,
    Kind.UPDATE: 1,
}


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic of one device.

    Raises:
        ValueError: A device id outside ``[a-z0-9_-]{1,32}``.
    """

    device_id: str
    kind: Kind

    def __post_init__(self) -> None:
        if not DEVICE_ID.fullmatch(self.device_id):
            message = f"device id {self.device_id!r} must match {DEVICE_ID.pattern}"
            raise ValueError(message)

    def __str__(self) -> str:
        return f"{ROOT}/{self.device_id}/{self.kind}"

    @classmethod
    def parse(cls, topic: str) -> "Topic | None":
        """The topic named by ``topic``, or ``None`` where it is none of ours."""
        head, _, kind = topic.rpartition("/")
        root, _, device_id = head.rpartition("/")
        if root != ROOT or kind not in set(Kind) or not DEVICE_ID.fullmatch(device_id):
            return None
        return cls(device_id, Kind(kind))


def subscription(device_id: str = "+") -> str:
    """The filter for every topic of one device, or of all with ``+``."""
    return f"{ROOT}/{device_id}/+"
