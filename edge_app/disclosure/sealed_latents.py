"""``SealedLatents``: mode ``latent``. A latent becomes an envelope before it becomes anything else.

Needs the extra ``latent``; a device without it has no code that could send a latent. Of the host it has the
public key alone.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lsi.errors import KeyFileError, SealError
from lsi.host_keys import HostPublicKey, read_host_public_key
from lsi.key_files import read_secret_key
from lsi.minisign import SecretKey
from lsi.sealing import SealedHeader, check_sealer, parse_envelope, seal


@dataclass(frozen=True, slots=True)
class SealedLatents:
    """Seals the latents of one start, and knows an envelope of this device when it sees one.

    ``bundle`` is the short id of the running one, ``key`` the device's own.
    """

    device_id: str
    stream: str
    bundle: str
    host: HostPublicKey
    key: SecretKey

    def record_of(self, values: NDArray[np.float32], ts: str, clock: str) -> Callable[[int], bytes]:
        """What makes the record of one latent for its ``seq``. Shape: ``values`` (L, D).

        Raises:
            SealError: A latent of another shape, not finite in half precision, or a host key past its days.
        """
        if values.ndim != 2:  # noqa: PLR2004 - layers and width
            raise SealError(f"A latent of {values.ndim} dimensions.", hint="layers and width.")
        if clock == "ntp" and dt.date.fromisoformat(ts[:10]) > self.host.expires:
            raise _too_old(self.host)
        with np.errstate(over="ignore"):
            halves = values.astype("<f2")
        if not np.isfinite(halves).all():
            raise SealError("A latent that is not finite in half precision.")
        plaintext, shape = halves.tobytes(), (values.shape[0], values.shape[1])

        def payload(seq: int) -> bytes:
            header = SealedHeader(
                device_id=self.device_id,
                stream=self.stream,
                seq=seq,
                ts=ts,
                clock=clock,
                bundle=self.bundle,
                kid=self.host.kid,
                shape=shape,
                dtype="float16",
            )
            return seal(plaintext, header, self.host, self.key)

        return payload

    def key_of(self, payload: bytes) -> tuple[str, int]:
        """Stream and seq of an envelope that this device made, for its host if it made it in this start.

        Raises:
            SealError: No envelope, of another device, or for another host or bundle.
            SignatureMismatchError: This device did not make it.
        """
        envelope = parse_envelope(payload)
        check_sealer(envelope, self.key.public_key)
        header = envelope.header
        is_ours = header.device_id == self.device_id
        if header.stream == self.stream:
            is_ours = is_ours and (header.kid, header.bundle) == (self.host.kid, self.bundle)
        if not is_ours:
            raise SealError("An envelope of another device, for another host, or of another bundle.")
        return header.stream, header.seq


def read_host(path: Path, today: dt.date | None) -> HostPublicKey:
    """The key to seal to; ``today`` is ``None`` while the time of day is not known.

    Raises:
        KeyFileError: Not readable, no key of a host, or past its days.
    """
    key = read_host_public_key(path)
    if today is not None and today > key.expires:
        raise KeyFileError(_too_old(key).found, hint=_too_old(key).hint)
    return key


def read_device_key(path: Path) -> SecretKey:
    """The key that signs what this device seals.

    Raises:
        KeyFileError: There is none, or it is open to others.
    """
    if not path.exists():
        found = f"There is no key of this device at {path}."
        raise KeyFileError(found, hint="lsi-edge calibrate, which makes it.")
    return read_secret_key(path)


def _too_old(key: HostPublicKey) -> SealError:
    found = f"The host's key {key.kid} was made to be used until {key.expires}."
    return SealError(found, hint="a new one on the host: lsi keys new, and its .pub file here.")
