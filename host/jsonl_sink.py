"""``JsonLinesSink``: one JSON object per line in a file that only its owner reads."""

import contextlib
import json
import os
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from host.seq_ranges import SeqRange, SeqRanges
from host.sink import MAX_QUARANTINED, Key, Quarantined, SinkRow, Stored, once_each, row_document, utc_now
from lsi.errors import SinkError
from lsi.topics import Kind

QUARANTINE_SUFFIX: Final = ".quarantine"
MODE: Final = 0o600
GONE: Final = "gone"
MAX_DIGESTS: Final = 100_000
"""Contents by which a later copy is compared; for older keys a copy is a copy."""


class JsonLinesSink:
    """Appends to ``path``, each key once; a line is on the disk before it is acknowledged.

    Which keys are there is read from the file at the start and kept in memory as ranges. A last line that
    a power cut left half written is cut off: its record was never acknowledged.

    Args:
        path: The file; ``path`` + ``.quarantine`` beside it takes what was turned away.

    Raises:
        SinkError: It cannot be written to, or holds something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: dict[tuple[str, str, bool], SeqRanges] = {}
        self._digests: OrderedDict[tuple[Key, bool], bytes] = OrderedDict()
        self._quarantined = 0
        with contextlib.ExitStack() as opened:
            try:
                self._file = opened.enter_context(_opened(path))
                self._load()
                self._quarantine = opened.enter_context(
                    _opened(path.with_name(path.name + QUARANTINE_SUFFIX))
                )
                self._quarantined = sum(1 for _ in self._quarantine)
            except OSError as cause:
                raise self._fault(cause) from cause
            opened.pop_all()

    def write(self, rows: Sequence[SinkRow], quarantined: Sequence[Quarantined]) -> Stored:
        """Append what is new; see ``Sink``."""
        each, stored = once_each(rows)
        new = [row for row in each if row.key.seq not in self._ranges(row)]
        stored += Stored(len(new), len(each) - len(new), self._contradicting(each))
        room = max(0, MAX_QUARANTINED - self._quarantined)
        self._append(self._file, [row_document(row) for row in new])
        self._append(self._quarantine, [_quarantine_document(one) for one in quarantined[:room]])
        self._quarantined += len(quarantined[:room])
        for row in new:
            self._ranges(row).add(row.key.seq)
            self._remember(row)
        return stored

    def missing(self, device_id: str, stream: str, upto: int | None) -> Sequence[SeqRange]:
        """What is neither here nor given up; see ``Sink``."""
        held = self._held.get((device_id, stream, False), SeqRanges())
        return list(held.missing(1, held.highest if upto is None else upto))

    def give_up(self, device_id: str, stream: str, ranges: Iterable[tuple[int, int]]) -> None:
        """Note holes for good, as lines of kind ``gone``; see ``Sink``."""
        wanted = list(ranges)
        lines = [
            {
                "kind": GONE,
                "received": utc_now(),
                "dev": device_id,
                "stream": stream,
                "from": first,
                "to": last,
            }
            for first, last in wanted
        ]
        self._append(self._file, lines)
        held = self._held.setdefault((device_id, stream, False), SeqRanges())
        for first, last in wanted:
            held.add(first, last)

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        self._quarantine.close()

    def _append(self, file: BinaryIO, documents: Sequence[dict[str, object]]) -> None:
        if not documents:
            return
        end = file.seek(0, os.SEEK_END)
        try:
            file.write(b"".join(json.dumps(document).encode() + b"\n" for document in documents))
            file.flush()
            os.fsync(file.fileno())
        except OSError as cause:
            file.truncate(end)
            raise self._fault(cause) from cause

    def _load(self) -> None:
        end = 0
        self._file.seek(0)
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            self._note(line)
            end += len(line)
        self._file.truncate(end)
        self._file.seek(end)

    def _note(self, line: bytes) -> None:
        try:
            document = json.loads(line)
            kind = document["kind"]
            place = document if kind == GONE else document["payload"]
            first = place["from"] if kind == GONE else place["seq"]
            last = place["to"] if kind == GONE else first
            key = (place["dev"], place["stream"], kind == Kind.ATTR)
            self._held.setdefault(key, SeqRanges()).add(int(first), int(last))
        except (ValueError, KeyError, TypeError) as cause:
            found = f"{self._path} holds a line that is no record."
            raise SinkError(found, hint="another file.") from cause

    def _ranges(self, row: SinkRow) -> SeqRanges:
        key = (row.key.device_id, row.key.stream, row.kind is Kind.ATTR)
        return self._held.setdefault(key, SeqRanges())

    def _contradicting(self, rows: Iterable[SinkRow]) -> int:
        known = ((self._digests.get((row.key, row.kind is Kind.ATTR)), row.digest) for row in rows)
        return sum(kept is not None and kept != digest for kept, digest in known)

    def _remember(self, row: SinkRow) -> None:
        self._digests[row.key, row.kind is Kind.ATTR] = row.digest
        if len(self._digests) > MAX_DIGESTS:
            self._digests.popitem(last=False)

    def _fault(self, cause: OSError) -> SinkError:
        return SinkError(
            f"{self._path}: {cause.strerror}.", hint="a folder that may be written to, with room."
        )


def _opened(path: Path) -> BinaryIO:
    path.touch(MODE)
    return path.open("r+b")


def _quarantine_document(one: Quarantined) -> dict[str, object]:
    return {
        "received": utc_now(),
        "topic": one.topic,
        "bytes": one.size_bytes,
        "reason": one.reason,
        "payload_hex": one.payload.hex(),
    }
