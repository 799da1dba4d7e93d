"""``Opener``: opens sealed latents, each once, and only where device and host key are known."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lsi.errors import SealError, UntrustedKeyError
from lsi.host_keys import HostSecretKey
from lsi.minisign import PublicKey
from lsi.sealing import SealedHeader, open_envelope, parse_envelope

WINDOW: Final = 4_096
"""How far behind the highest seq of its stream a record may come."""
MAX_STREAMS: Final = 4_096


@dataclass(frozen=True, slots=True)
class OpenedLatent:
    """Image-equivalent personal data. Shape: ``values`` (L, D) float32; ``repr`` leaves them out."""

    header: SealedHeader
    values: NDArray[np.float32] = field(repr=False)


@dataclass(slots=True)
class _Stream:
    highest: int = 0
    seen: set[int] = field(default_factory=set)


class ReplayGuard:
    """Says of each record key once that it is new. Bounded: it forgets streams that are long silent.

    A record that comes late is in order as long as its seq was not seen and is not too far behind; a sink
    that keeps its own keys needs no more than that.
    """

    def __init__(self, window: int = WINDOW, streams: int = MAX_STREAMS) -> None:
        self._window = window
        self._max_streams = streams
        self._streams: OrderedDict[tuple[str, str], _Stream] = OrderedDict()

    def admit(self, header: SealedHeader) -> None:
        """Take note of a record.

        Raises:
            SealError: It was there before, or is too far behind to be known.
        """
        stream = self._streams.setdefault((header.device_id, header.stream), _Stream())
        self._streams.move_to_end((header.device_id, header.stream))
        if header.seq in stream.seen or header.seq <= stream.highest - self._window:
            found = (
                f"Record {header.seq} of stream {header.stream} is here again, or too late to be told apart."
            )
            raise SealError(found, hint="drop it: somebody sends what was sent before.")
        stream.seen.add(header.seq)
        stream.highest = max(stream.highest, header.seq)
        if len(stream.seen) > self._window:
            stream.seen = {seq for seq in stream.seen if seq > stream.highest - self._window}
        if len(self._streams) > self._max_streams:
            self._streams.popitem(last=False)


class Opener:
    """Opens envelopes.

    Args:
        keys: Secret keys of the host; the one that an envelope names is taken.
        devices: Public keys by device id.
    """

    def __init__(self, keys: Sequence[HostSecretKey], devices: Mapping[str, PublicKey]) -> None:
        self._keys = {key.public_key.kid: key for key in keys}
        self._devices = dict(devices)
        self._replays = ReplayGuard()

    def knows(self, device_id: str) -> bool:
        """Whether the key of this device is known; without it nothing of it is opened."""
        return device_id in self._devices

    def open(self, encoded: bytes, topic_device: str | None = None) -> OpenedLatent:
        """What ``encoded`` holds.

        Args:
            encoded: The payload.
            topic_device: The device whose topic it came on, where it came on one.

        Raises:
            SealError: No envelope, for another key, on another device's topic, or here before.
            SignatureMismatchError: Its device did not make it.
            UntrustedKeyError: A device whose key is not known.
        """
        envelope = parse_envelope(encoded)
        header = envelope.header
        if topic_device not in {None, header.device_id}:
            raise SealError(
                f"A latent of {header.device_id} came on the topic of {topic_device}.", hint="drop it."
            )
        device, key = self._devices.get(header.device_id), self._keys.get(header.kid)
        if device is None:
            hint = f"--device {header.device_id}=FILE, with the device's .pub file."
            raise UntrustedKeyError(f"The key of device {header.device_id} is not known.", hint=hint)
        if key is None:
            known = ", ".join(self._keys) or "none"
            raise SealError(f"A latent is sealed to key {header.kid}; here are: {known}.", hint="--key FILE")
        plaintext = open_envelope(envelope, key, device)
        self._replays.admit(header)
        values = np.frombuffer(plaintext, _DTYPE[header.dtype]).reshape(header.shape).astype(np.float32)
        return OpenedLatent(header, values)


_DTYPE: Final = {"float16": "<f2", "float32": "<f4"}
