"""A payload to start from."""

from typing import Any

from lsi.payload import AttributePayload


def payload(**changes: Any) -> AttributePayload:  # noqa: ANN401 - any field
    fields: dict[str, Any] = {
        "device_id": "hall1",
        "stream": "0123456789abcdef",
        "seq": 7,
        "ts": "2026-11-22T12:00:00.250Z",
        "clock": "ntp",
        "bundle": "89abcdef",
        "face": True,
        "attributes": {"Smiling": True, "Eyeglasses": False},
        "scan_ms": 30.12,
        "infer_ms": 0.1,
    }
    return AttributePayload(**{**fields, **changes})
