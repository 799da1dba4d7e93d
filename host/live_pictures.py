"""``LivePictures``: the newest generated picture of each device, in memory, while a page watches.

Nobody watches: no latent is opened, none is kept. Opened latents and pictures are never written or logged.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from host.opener import OpenedLatent, Opener
from host.sealed_record import SealedRecord
from lsi.errors import LsiError, SealError

Develop: TypeAlias = Callable[[OpenedLatent], bytes]
"""A latent to a picture that is marked as generated, as PNG."""

NO_KEY: Final = "No picture: the key of this device was not given (--device)."


@dataclass(frozen=True, slots=True)
class LivePicture:
    """A guess of what a device saw, image-equivalent personal data; ``repr`` leaves it out.

    ``png`` is marked as generated. ``ts`` is RFC 3339 UTC by the device's clock.
    """

    png: bytes = field(repr=False)
    ts: str
    seq: int


@dataclass(frozen=True, slots=True)
class NoPicture:
    """Why there is none, in words."""

    reason: str


Seen: TypeAlias = LivePicture | NoPicture


class LivePictures:
    """Opens and decodes the newest latent of each device. All methods but ``develop`` on one event loop.

    Args:
        opener: With the keys of host and devices. It opens each envelope once.
        bundles: What makes pictures of the latents of a bundle, by the short id of the bundle.
    """

    def __init__(self, opener: Opener, bundles: Mapping[str, Develop]) -> None:
        self._opener = opener
        self._bundles = dict(bundles)
        self._watching: set[str] = set()
        self._waiting: dict[str, SealedRecord] = {}
        self._seen: dict[str, Seen] = {}
        self._came = asyncio.Event()

    @property
    def watched(self) -> bool:
        """Whether any page looks."""
        return bool(self._watching)

    def watch(self, page: str) -> None:
        """From now on the page called ``page`` looks: what comes is opened."""
        self._watching.add(page)

    def leave(self, page: str) -> None:
        """The page looks no more; with the last one everything that was opened is forgotten."""
        self._watching.discard(page)
        if not self._watching:
            self._waiting.clear()
            self._seen.clear()

    def take(self, record: SealedRecord) -> None:
        """Note a latent that came; a newer one of its device takes its place until there is time for it."""
        if self._watching and self._opener.knows(record.device_id):
            self._waiting[record.device_id] = record
            self._came.set()

    def of(self, page: str, device_id: str) -> Seen | None:
        """What ``page`` may show of a device: nothing, unless it watches and a latent came since."""
        if page not in self._watching:
            return None
        if not self._opener.knows(device_id):
            return NoPicture(NO_KEY)
        return self._seen.get(device_id)

    async def run(self) -> None:
        """Open and decode what comes, in a thread of its own, until cancelled."""
        with ThreadPoolExecutor(1, "live-pictures") as thread:
            while True:
                await self._came.wait()
                self._came.clear()
                await self.catch_up(thread)

    async def catch_up(self, thread: Executor) -> None:
        """Open and decode all that waits."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            device_id = next(iter(self._waiting))
            seen = await loop.run_in_executor(thread, self.develop, self._waiting.pop(device_id))
            if self._watching:
                self._seen[device_id] = seen

    def develop(self, record: SealedRecord) -> Seen:
        """Open one envelope and decode it, or say why not."""
        header = record.header
        try:
            opened = self._opener.open(record.sealed)
            if header.bundle not in self._bundles:
                found = f"A latent was made by bundle {header.bundle}, which was not given."
                raise SealError(found, hint="--bundle FILE, the one that the device runs.")
            return LivePicture(self._bundles[header.bundle](opened), header.ts, header.seq)
        except LsiError as error:
            return NoPicture(f"No picture: {error}")


def finite(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """``values`` (L, D), which whoever holds a device's key chose.

    Raises:
        SealError: One of them is not finite.
    """
    if not np.isfinite(values).all():
        raise SealError("A latent holds numbers that are not finite.", hint="a sensor of the same version.")
    return values
