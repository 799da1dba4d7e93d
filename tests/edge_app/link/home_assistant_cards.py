"""A device to start from."""

from typing import Any

from edge_app.link.home_assistant import DeviceCard

ATTR_LITE_NAMES = ("Smiling", "Mouth_Slightly_Open", "Eyeglasses", "Wearing_Hat")


def card(**changes: Any) -> DeviceCard:  # noqa: ANN401 - any field
    fields: dict[str, Any] = {
        "device_id": "hall1",
        "name": "Hall sensor",
        "model": "LSI single-pixel",
        "d": 32,
        "software": "0.1.0",
        "hardware": "rpi4",
    }
    return DeviceCard(**{**fields, **changes})
