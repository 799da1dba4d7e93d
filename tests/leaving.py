"""Payloads that may leave, and the terms under which they may."""

from collections.abc import Callable
from typing import Any

from edge_app.link.egress_rules import ResultTerms
from lsi.disclosure import DisclosurePolicy
from lsi.events import EventPayload, Phase, ScanBucket
from lsi.status import Backlog, HealthPayload, InfoPayload
from tests.payloads import payload

DEVICE = "hall1"
STREAM = "0123456789abcdef"
EARLIER = "fedcba9876543210"
BUNDLE = "89abcdef"
NAMES = ("Smiling", "Eyeglasses")


def terms(stream: str = STREAM, names: tuple[str, ...] = NAMES) -> ResultTerms:
    return ResultTerms(stream, BUNDLE, DisclosurePolicy(frozenset(names)), frozenset(names))


def attr(**changes: Any) -> bytes:  # noqa: ANN401 - any field
    return payload(**changes).encode()


def event(stream: str = STREAM, **changes: Any) -> Callable[[int], bytes]:  # noqa: ANN401 - any field
    fields: dict[str, Any] = {
        "device_id": DEVICE,
        "stream": stream,
        "seq": 0,
        "ts": "2026-01-01T12:00:00.000Z",
        "clock": "ntp",
        "bundle": BUNDLE,
        "phase": Phase.START,
        "visit": f"{stream}-1",
        "began": "2026-01-01T12:00:00.000Z",
        "scans": ScanBucket.ONES,
        "attributes": {"Smiling": True, "Eyeglasses": None},
    }
    return EventPayload(**{**fields, **changes}).encode_as


def info(results: ResultTerms | None = None, **changes: Any) -> bytes:  # noqa: ANN401 - any field
    results = results or terms()
    fields: dict[str, Any] = {
        "device_id": DEVICE,
        "stream": results.stream,
        "software": "0.1.0",
        "board": "sim-mcp3208",
        "simulated": True,
        "mode": results.policy.mode,
        "policy": results.policy.digest[:8],
        "attributes": tuple(sorted(results.names)),
        "d": 16,
        "bundle_name": "small",
        "bundle_version": "1.2.3",
        "bundle_id": results.bundle,
    }
    return InfoPayload(**{**fields, **changes}).encode()


def health(**changes: Any) -> bytes:  # noqa: ANN401 - any field
    fields: dict[str, Any] = {
        "device_id": DEVICE,
        "stream": STREAM,
        "problems": frozenset(),
        "scans": 7,
        "scans_failed": 1,
        "reconnects": 0,
        "mirror_duty": (0.4, 0.6),
        "infer_ms": 0.31234,
        "outbox": Backlog(1, 2, 3, 4),
        "highest": {STREAM: 5},
        "certificate_expires": "2026-12-31T00:00:00Z",
    }
    return HealthPayload(**{**fields, **changes}).encode()
