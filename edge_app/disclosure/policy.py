"""The one function that turns results into something that may leave."""

from dataclasses import dataclass
from typing import TypeAlias

from lsi.attributes import AttributeLogits
from lsi.bundle import Bundle
from lsi.disclosure import DisclosurePolicy, PayloadMode
from lsi.payload import AttributePayload

Disclosed: TypeAlias = AttributePayload
"""What the policy lets out of one scan, named for those who may not build one."""


@dataclass(frozen=True, slots=True)
class ScanStamp:
    """Where and when a scan was made; see ``AttributePayload`` for the fields."""

    device_id: str
    stream: str
    seq: int
    ts: str
    clock: str
    bundle: str
    scan_ms: float
    infer_ms: float


def in_force(policy: DisclosurePolicy, bundle: Bundle) -> DisclosurePolicy:
    """The narrowest of ``policy``, which is that of device and site, and of the bundle's own."""
    return policy.narrowed(bundle.allowed, PayloadMode(bundle.manifest.mode))


def disclose(logits: AttributeLogits, policy: DisclosurePolicy, stamp: ScanStamp) -> AttributePayload:
    """What ``policy`` lets out of ``logits``: yes or no, never a probability.

    An attribute that the policy does not name is absent. Without a face every allowed
    attribute is ``None``: nothing is said about a person who is not there. With one, ``None`` is an
    attribute that is too close to call; which way it leans does not leave either.
    """
    face = logits.presence
    attributes = {
        name: decision if face else None
        for name, decision in logits.decisions().items()
        if name in policy.allowed
    }
    return AttributePayload(
        device_id=stamp.device_id,
        stream=stamp.stream,
        seq=stamp.seq,
        ts=stamp.ts,
        clock=stamp.clock,
        bundle=stamp.bundle,
        face=face,
        attributes=attributes,
        scan_ms=stamp.scan_ms,
        infer_ms=stamp.infer_ms,
    )
