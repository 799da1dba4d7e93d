"""``MaskHistory``: every distinct mask that this device has ever been given, counted over its life.

Two bundles of 64 masks see more of a scene that stands still than one does; whoever reads ``info`` can tell
how many different looks this device has ever had. Calibration patterns are a fixed list and counted apart.
"""

import logging
import os
from pathlib import Path
from typing import Final

import numpy as np

from lsi.errors import DisclosureError
from lsi.frozen import digest_of
from lsi.patterns import PatternSet
from lsi.whole_file import whole_file

logger = logging.getLogger(__name__)

HISTORY_NAME: Final = "shown-masks"
DIGEST_BYTES: Final = 8
MAX_MASKS: Final = 1 << 20
_MODE: Final = 0o600


class MaskHistory:
    """Digests of masks, in the state folder; where there is none, in memory.

    Raises:
        DisclosureError: The file is there and is no such list: the count would be wrong.
    """

    def __init__(self, state: Path) -> None:
        self._path = state / HISTORY_NAME
        self._known = self._read()

    @property
    def count(self) -> int:
        """Distinct masks so far."""
        return len(self._known)

    def note(self, patterns: PatternSet) -> None:
        """Count ``patterns``, before they are shown. A disk that fails is logged and stops no sensor."""
        new = {_digest(mask) for mask in patterns.masks} - self._known
        if not new:
            return
        self._known |= new
        if not self._path.parent.is_dir():
            return
        try:
            with whole_file(self._path) as file:
                os.fchmod(file.fileno(), _MODE)
                file.write(b"".join(sorted(self._known)))
        except OSError as error:
            logger.warning("%s was not written (%s). Try: free space.", self._path, error.strerror)

    def _read(self) -> set[bytes]:
        try:
            with self._path.open("rb") as file:
                content = file.read(MAX_MASKS * DIGEST_BYTES + 1)
        except FileNotFoundError:
            return set()
        except OSError as cause:
            raise self._unusable() from cause
        found = {content[at : at + DIGEST_BYTES] for at in range(0, len(content), DIGEST_BYTES)}
        if b"".join(sorted(found)) != content or len(content) % DIGEST_BYTES:
            raise self._unusable()
        return found

    def _unusable(self) -> DisclosureError:
        hint = "look who wrote it; remove it to count from 0."
        return DisclosureError(f"{self._path} is no list of masks.", hint=hint)


def _digest(mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> bytes:
    shape = np.array(mask.shape, "<u4").tobytes()
    return bytes.fromhex(digest_of(shape, np.packbits(mask).tobytes()))[:DIGEST_BYTES]
