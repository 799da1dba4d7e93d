"""The people of an audit: from data files to what each observer sees, in three parts."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from firmware.boards.board import Board
from lab.audit.attack import Parts, part_of
from lab.audit.reconstruction import Pictures, shown
from lab.audit.views import Progress, Subject, through_the_chain, through_the_model
from lsi.bundle import Bundle
from lsi.errors import DataError
from training.data_sets.data import DataFile, FaceData, open_data

Tell = Callable[[str], Progress]
"""A line of progress for each piece of work."""
LEARN: Final = "learn"
TUNE: Final = "tune"
REPORT: Final = "report"


@dataclass(frozen=True, slots=True, repr=False)
class Bench:
    """One bundle, its people and their pictures in memory; no picture of it is ever written.

    Shape: the pictures (n, 64, 64) belong to the rows of ``parts``; ``report_rows`` are row numbers of
    the data file.
    """

    subject: Subject
    board: Board
    data: DataFile
    learn_data: DataFile | None
    parts: Parts
    learn_faces: FaceData
    tune_faces: FaceData
    report_pictures: Pictures
    report_rows: NDArray[np.int64]
    tune_rows: NDArray[np.int64]
    dropped: int

    @property
    def bundle(self) -> Bundle:
        """The one that is audited."""
        return self.subject.bundle

    @property
    def learn_pictures(self) -> Pictures:
        """As a screen shows them."""
        return shown(self.learn_faces.luminance)

    @property
    def tune_pictures(self) -> Pictures:
        """As a screen shows them."""
        return shown(self.tune_faces.luminance)

    def document(self) -> dict[str, Any]:
        """Who was looked at, in numbers."""
        parts = {LEARN: self.parts.learn, TUNE: self.parts.tune, REPORT: self.parts.report}
        return {
            "file": self.data.path.name,
            "sha256": self.data.digest(),
            "learned_from": None if self.learn_data is None else self.learn_data.path.name,
            "people": {name: part.count for name, part in parts.items()},
            "pictures": {name: len(part) for name, part in parts.items()},
            "dropped": self.dropped,
        }


def set_up(  # noqa: PLR0913, PLR0917 - what an audit is given
    subject: Subject, board: Board, data: Path, learn: Path | None, most_learned: int, tell: Tell
) -> Bench:
    """Read the data and send everybody past the sensor.

    *Report* goes through the device's own path; *learn* and *tune* through the forward model of the
    training, which is the same sensor without its bytes. Of the attackers' own file ``most_learned``
    pictures are used, whole people each.

    Raises:
        DataError: No identities or attributes, the attributes of the bundle are missing, or too few people.
    """
    faces = open_data(data, "val")
    _check(faces, subject.bundle)
    named = part_of(faces.identity, learns_apart=learn is not None)
    own = None if learn is None else open_data(learn, "train")
    source = faces if own is None else own
    rows = np.flatnonzero(named == LEARN) if own is None else np.arange(len(own))
    learned = _decoded(source, whole_people(source.identity, rows, most_learned), tell)
    tune_rows = np.flatnonzero(named == TUNE)
    tuned = _decoded(faces, tune_rows, tell)
    wanted = [int(row) for row in np.flatnonzero(named == REPORT)]
    report, kept = through_the_chain(subject, board, faces, wanted, tell("the device's own path"))
    parts = Parts(
        through_the_model(subject, board, learned, seed=1),
        through_the_model(subject, board, tuned, seed=2),
        report,
    )
    pictures = shown(np.stack([faces.field(int(row)) for row in kept]))
    return Bench(
        subject, board, faces, own, parts, learned, tuned, pictures, kept, tune_rows, len(wanted) - len(kept)
    )


def whole_people(identity: NDArray[np.int64], rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most ``most`` of ``rows``, without cutting a person; in rising order."""
    people, first, counts = np.unique(identity[rows], return_index=True, return_counts=True)
    order = np.argsort(first)
    taken = people[order][np.cumsum(counts[order]) <= most]
    kept: NDArray[np.int64] = np.sort(rows[np.isin(identity[rows], taken)])
    return kept


def _decoded(data: DataFile, rows: NDArray[np.int64], tell: Tell) -> FaceData:
    return data.faces(data.attribute_names, rows, progress=tell(f"reading {data.path.name}"))


def _check(data: DataFile, bundle: Bundle) -> None:
    missing = [name for name in sorted(bundle.allowed) if name not in data.attribute_names]
    if missing:
        found = f"{data.path} does not label {', '.join(missing)}."
        raise DataError(found, hint="a data file with the attributes of the bundle.")
    if len(np.unique(data.identity)) == len(data):
        found = f"{data.path} holds one picture of each person; nobody can be found again."
        raise DataError(found, hint="a data file with identities (docs/reference/data-layout.md).")
