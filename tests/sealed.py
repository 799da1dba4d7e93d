"""Keys and envelopes to start from."""

import datetime as dt
from typing import Any

from lsi.host_keys import HostSecretKey
from lsi.minisign import SecretKey
from lsi.sealing import SealedHeader, seal
from tests import leaving

HOST = HostSecretKey.generate(dt.date(2026, 1, 1))
OTHER_HOST = HostSecretKey.generate(dt.date(2026, 1, 1))
DEVICE_KEY = SecretKey.generate()
SHAPE = (2, 8)
LATENT = bytes(range(32))


def header(**changes: Any) -> SealedHeader:  # noqa: ANN401 - any field
    fields: dict[str, Any] = {
        "device_id": leaving.DEVICE,
        "stream": leaving.STREAM,
        "seq": 3,
        "ts": "2026-01-01T12:00:00.000Z",
        "clock": "ntp",
        "bundle": leaving.BUNDLE,
        "kid": HOST.public_key.kid,
        "shape": SHAPE,
        "dtype": "float16",
    }
    return SealedHeader(**{**fields, **changes})


def envelope(**changes: Any) -> bytes:  # noqa: ANN401 - any field
    return seal(LATENT, header(**changes), HOST.public_key, DEVICE_KEY)
