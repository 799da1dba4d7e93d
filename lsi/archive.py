"""A deterministic tar: same members, same bytes, and nothing else is accepted.

The container of a bundle (ADR 0004). Members have names from a fixed alphabet, mode
0644, owner 0, time 0. ``unpack`` packs again what it read and compares, so that one
flipped byte anywhere, padding included, is refused.
"""

import io
import re
import tarfile
from collections.abc import Mapping
from typing import Final

from lsi.errors import BundleError, DigestMismatchError

MAX_ARCHIVE_BYTES: Final = 64 * 2**20
MAX_MEMBERS: Final = 32
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_FETCH_AGAIN: Final = "copy or export the file again; this one is damaged or was made by another tool."


def pack(members: Mapping[str, bytes]) -> bytes:
    """The archive of ``members``, in the mapping's order.

    Raises:
        ValueError: A name outside ``[A-Za-z0-9_.-]``, or too many members.
    """
    if len(members) > MAX_MEMBERS or not all(map(_NAME.fullmatch, members)):
        message = f"at most {MAX_MEMBERS} members named {_NAME.pattern}: {list(members)}"
        raise ValueError(message)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


def unpack(archive: bytes, source: str) -> dict[str, bytes]:
    """The members of an archive made by :func:`pack`, in order.

    Args:
        archive: The bytes.
        source: Where they came from, for the messages.

    Raises:
        BundleError: Not a tar, too large, or a member that is not a plain file.
        DigestMismatchError: Not the bytes that :func:`pack` writes.
    """
    if len(archive) > MAX_ARCHIVE_BYTES:
        found = f"{source} has {len(archive)} bytes, at most {MAX_ARCHIVE_BYTES} are accepted."
        raise BundleError(found, hint="a smaller bundle.")
    try:
        members = _members(archive, source)
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as cause:
        if isinstance(cause, BundleError):
            raise
        found = f"{source} is not a bundle archive ({type(cause).__name__})."
        raise BundleError(found, hint=_FETCH_AGAIN) from cause
    if pack(members) != archive:
        raise DigestMismatchError(f"{source} is not in canonical form.", hint=_FETCH_AGAIN)
    return members


def _members(archive: bytes, source: str) -> dict[str, bytes]:
    members: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        for header in tar:
            acceptable = header.isreg() and _NAME.fullmatch(header.name)
            if not acceptable or header.name in members or len(members) == MAX_MEMBERS:
                found = f"{source} holds a member that no bundle has: {header.name[:64]!r}."
                raise BundleError(found, hint=_FETCH_AGAIN)
            stream = tar.extractfile(header)
            if stream is not None:
                members[header.name] = stream.read()
    return members
