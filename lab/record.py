"""Recorder of labelled vectors: pictures of a data file in front of a sensor on the bench.

Nothing here runs on a device: its wheel has no ``lab``.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware.acquisition.correction import correct
from firmware.boards.board import Board
from firmware.factory import Rig, open_rig
from firmware.sim.light import LightSequence
from lab.rig_faults import NAMES, RigFault, open_faulty_rig
from lsi.bundle import Bundle
from lsi.errors import ConfigError, DataError, ScanError
from training.data_sets.data import DataFile
from training.data_sets.measured_vectors import Bench, MeasuredVectors, load_vectors, save_vectors

SAVE_ROWS: Final = 200
"""An interruption that cannot be caught (a power cut) loses at most this many scans."""
PROGRESS_ROWS: Final = 25

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, repr=False)
class Session:
    """What is shown to which sensor. ``rows`` of ``data`` belong to its ``part``; the file is ``output``."""

    bundle: Bundle
    board: Board
    fault: RigFault
    data: DataFile
    part: str
    rows: Sequence[int]
    output: Path

    def bench(self) -> Bench:
        """What the file says of this recording; a file is resumed only where all of it is the same."""
        manifest = self.bundle.manifest
        sound = RigFault()
        return Bench(
            pattern_digest=self.bundle.patterns.digest,
            bundle=f"{manifest.name} {manifest.version}",
            content_id=manifest.content_id,
            board=self.board.name,
            sensor=self.board.sensor,
            data=self.data.path.name,
            data_digest=self.data.digest(),
            part=self.part,
            faults={
                name: getattr(self.fault, name)
                for name in NAMES
                if getattr(self.fault, name) != getattr(sound, name)
            },
        )

    def __repr__(self) -> str:
        return f"Session({self.output.name}, rows={len(self.rows)})"


def record(session: Session, progress: Progress) -> MeasuredVectors:
    """Show every row that the file does not have yet, and keep the file whole all the while.

    The file is written every ``SAVE_ROWS`` scans and at the end, also when the end is an error or an
    interruption. ``progress`` is told (done, total).

    Raises:
        ConfigError: The file is there and belongs to another recording.
        DataError: The data lacks an attribute of the bundle, or the file cannot be written.
        BusError: The board failed. What was measured so far is in the file.
    """
    found = _Collected(_labels(session), session.data.identity, _begun(session))
    total = len(session.rows)
    pending = [row for row in session.rows if row not in found.done]
    if not pending:
        return found.vectors()
    # At once: what cannot be written is better known before the first scan.
    save_vectors(found.vectors(), session.output)
    try:
        for index, (row, outcome) in enumerate(_outcomes(session, pending), start=1):
            found.add(row, outcome)
            done = total - len(pending) + index
            if index % SAVE_ROWS == 0:
                save_vectors(found.vectors(), session.output)
            if index % PROGRESS_ROWS == 0 or done == total:
                progress(done, total)
    finally:
        save_vectors(found.vectors(), session.output)
    return found.vectors()


class _Collected:
    """Measurements by row of the data file, on top of what a file already had."""

    def __init__(self, labels: NDArray[np.int8], identity: NDArray[np.int64], begun: MeasuredVectors) -> None:
        self._labels = labels
        self._identity = identity
        self._begun = begun
        self._measured = dict(zip(begun.rows.tolist(), begun.measurements, strict=True))
        self._dropped = {reason: list(rows) for reason, rows in begun.dropped.items()}

    @property
    def done(self) -> set[int]:
        """Rows that were measured or dropped."""
        return set(self._measured).union(*self._dropped.values())

    def add(self, row: int, outcome: NDArray[np.float32] | str) -> None:
        """One more measurement, or the reason why there is none."""
        if isinstance(outcome, str):
            self._dropped.setdefault(outcome, []).append(row)
        else:
            self._measured[row] = outcome

    def vectors(self) -> MeasuredVectors:
        """Everything so far, in the order of the data file."""
        rows = np.array(sorted(self._measured), np.int64)
        measurements = np.array([self._measured[row] for row in rows.tolist()], np.float32)
        return MeasuredVectors(
            measurements=measurements.reshape(len(rows), self._begun.d),
            attributes=self._labels[rows],
            identity=self._identity[rows],
            rows=rows,
            attribute_names=self._begun.attribute_names,
            dropped={reason: tuple(rows) for reason, rows in self._dropped.items()},
            bench=self._begun.bench,
        )


class _Shown:
    """Fields of the rows, and which row is the one in front of the sensor."""

    def __init__(self, data: DataFile, rows: Sequence[int]) -> None:
        self._data = data
        self._rows = rows
        self.unreadable: list[int] = []
        self.row = -1

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        for row in self._rows:
            try:
                field = self._data.field(row)
            except DataError:
                self.unreadable.append(row)
                continue
            self.row = row
            yield field


def _outcomes(session: Session, rows: Sequence[int]) -> Iterator[tuple[int, NDArray[np.float32] | str]]:
    """Each row with its measurement, or the name of the error that took it away."""
    patterns, shown = session.bundle.patterns, _Shown(session.data, rows)
    with _opened(session, shown) as rig:
        rig.load(patterns)
        while rig.next_scene():
            try:
                outcome: NDArray[np.float32] | str = correct(*rig.scan(patterns)).values
            except ScanError as error:
                outcome = type(error).__name__
            yield shown.row, outcome
    for row in shown.unreadable:
        yield row, DataError.__name__


def _opened(session: Session, shown: _Shown) -> Rig:
    if session.fault == RigFault():
        return open_rig(session.board, LightSequence(shown))
    return open_faulty_rig(session.board, shown, session.fault)


def _labels(session: Session) -> NDArray[np.int8]:
    """The bundle's attributes (n, K) of every row of the data file."""
    names, known = session.bundle.attributes.names, session.data.attribute_names
    missing = [name for name in names if name not in known]
    if missing:
        found = f"{session.data.path} does not label {', '.join(missing)}."
        raise DataError(found, hint="a data file with the attributes of the bundle.")
    labels: NDArray[np.int8] = session.data.attributes[:, [known.index(name) for name in names]]
    return labels


def _begun(session: Session) -> MeasuredVectors:
    """What an interrupted recording has left, or nothing yet."""
    bench, names = session.bench(), session.bundle.attributes.names
    if not session.output.exists():
        d = len(session.bundle.patterns)
        return MeasuredVectors(
            np.empty((0, d), np.float32),
            np.empty((0, len(names)), np.int8),
            np.empty(0, np.int64),
            np.empty(0, np.int64),
            names,
            {},
            bench,
        )
    begun = load_vectors(session.output)
    if begun.bench != bench or begun.attribute_names != names:
        found = f"{session.output} belongs to another recording ({begun.bench.bundle}, {begun.bench.data})."
        raise ConfigError(found, hint="another name, or the arguments it was begun with.")
    return begun
