"""Encoded images kept on disk, so that the same masks are encoded once.

What is kept are masks: part of a bundle, no measurement and no secret. But masks decide
what can be measured, and what is kept here is sent without another look at the bundle's
signature; so the directory must be writable by its owner alone.
"""

import contextlib
import hashlib
import logging
import os
import stat
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from firmware.drivers.dlpc900_upload import Image
from lsi.errors import BoardConfigError
from lsi.whole_file import whole_file

_log = logging.getLogger(__name__)

MAX_CACHE_BYTES: Final = 64 * 1024 * 1024
"""Some ten sequences of 400 masks of 256 x 256."""
_SUFFIX: Final = ".erle"
_MAGIC: Final = b"LSIERLE1"
_HEAD: Final = struct.Struct("<8sHB")
_DIGEST_BYTES: Final = 32

# One entry:
#
#     magic 8 | images u16 | parts u8 | length u32 of each part | all parts | SHA-256 of what stands before


class EncodedCache:
    """Encoded images by the name that ``Dlpc900`` gives to sequence, placement and DMD.

    A damaged entry counts as absent and is written again; the oldest ones go when all
    together exceed the bound. A disk that fails costs time, never a scan.

    Args:
        directory: Made with mode 0700 where it is missing.
        max_bytes: Of all entries together.

    Raises:
        BoardConfigError: The directory cannot be made or used, or others may write to it.
    """

    def __init__(self, directory: Path, max_bytes: int = MAX_CACHE_BYTES) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = directory.stat()
        except OSError as cause:
            found = f"The cache directory {directory} cannot be used: {cause.strerror}."
            raise BoardConfigError(found, hint="another directory, or none.") from cause
        if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            found = f"Others may write to the cache directory {directory}, and so choose the masks."
            raise BoardConfigError(found, hint=f"chown it to the user of the service, chmod 700 {directory}.")

    def get(self, name: str) -> list[Image] | None:
        """The images called ``name``; ``None`` when they are not here or damaged."""
        path = self._path(name)
        try:
            if path.stat().st_size > self._max_bytes:
                return None
            entry = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        images = _parsed(entry)
        if images is None:
            _log.warning("an entry of the mask cache is damaged; the masks are encoded again")
        return images

    def put(self, name: str, images: Sequence[Image]) -> None:
        """Keep ``images``, unless they alone exceed the bound."""
        entry = _packed(images)
        if len(entry) > self._max_bytes:
            return
        try:
            with whole_file(self._path(name)) as file:
                file.write(entry)
            self._drop_oldest()
        except OSError as cause:
            _log.warning("the mask cache cannot be written: %s", cause.strerror)

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}{_SUFFIX}"

    def _drop_oldest(self) -> None:
        # Unfinished files that a power cut left behind end in more than the suffix.
        ours = [path for path in self._directory.iterdir() if _SUFFIX in path.name]
        newest_first = sorted(ours, key=lambda path: path.stat().st_mtime_ns, reverse=True)
        total = 0
        for path in newest_first:
            total += path.stat().st_size
            if total > self._max_bytes:
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()


def _packed(images: Sequence[Image]) -> bytes:
    parts = [part for image in images for part in image]
    lengths = struct.pack(f"<{len(parts)}I", *map(len, parts))
    entry = _HEAD.pack(_MAGIC, len(images), len(images[0])) + lengths + b"".join(parts)
    return entry + hashlib.sha256(entry).digest()


def _parsed(entry: bytes) -> list[Image] | None:
    body, digest = entry[:-_DIGEST_BYTES], entry[-_DIGEST_BYTES:]
    if len(body) < _HEAD.size or hashlib.sha256(body).digest() != digest:
        return None
    magic, count, parts_per_image = _HEAD.unpack_from(body)
    if magic != _MAGIC:
        return None
    lengths = struct.unpack_from(f"<{count * parts_per_image}I", body, _HEAD.size)
    at = _HEAD.size + 4 * len(lengths)
    parts: list[bytes] = []
    for length in lengths:
        parts.append(body[at : at + length])
        at += length
    starts = range(0, len(parts), parts_per_image)
    return [tuple(parts[start : start + parts_per_image]) for start in starts]
