"""Small data sets of drawn scenes in the layouts of CelebA, CelebA-HQ and a folder with a CSV."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.training.scenes import drawn_face

LABELS = ("Smiling", "Eyeglasses")


def encoded(picture: NDArray[np.uint8], form: str = "PNG") -> bytes:
    """The picture as a stream; PNG is lossless."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, form)
    return stream.getvalue()


def drawn(row: int, width_px: int, height_px: int) -> NDArray[np.uint8]:
    """A scene that differs from row to row, of any size."""
    square = drawn_face(np.arange(5) < row % 6, 0.6 + 0.04 * (row % 10), 256)
    return square[:height_px, :width_px]


def answers(rows: int) -> NDArray[np.int8]:
    """Labels (rows, 2) of +1 and -1, both of each."""
    count = np.arange(rows)
    return np.where(np.stack((count % 2 == 0, count % 3 == 0), axis=1), 1, -1).astype(np.int8)


def attribute_text(files: Sequence[str], labels: NDArray[np.int8], names: Sequence[str] = LABELS) -> str:
    """An attribute list, spaced as the published one."""
    rows = [
        f"{file} {' '.join(f'{label:2d}' for label in row)}" for file, row in zip(files, labels, strict=True)
    ]
    return "\n".join([str(len(files)), " ".join(names) + " ", *rows, ""])


def numbers_text(files: Iterable[str], numbers: Iterable[int]) -> str:
    """A partition or identity list."""
    return "".join(f"{file} {number}\n" for file, number in zip(files, numbers, strict=True))


def write_celeba(folder: Path, rows: int = 10, *, pictures: str = "img_align_celeba") -> Path:
    """CelebA: the first six rows of ten are train, then two val and two test; two rows share a person."""
    files = [f"{row + 1:06d}.jpg" for row in range(rows)]
    parts = [0 if row % 10 < 6 else 1 if row % 10 < 8 else 2 for row in range(rows)]
    (folder / pictures).mkdir(parents=True)
    for row, file in enumerate(files):
        # The content decides what a picture is, not its suffix; PNG keeps every pixel.
        (folder / pictures / file).write_bytes(encoded(drawn(row, 178, 218)))
    (folder / "list_attr_celeba.txt").write_text(attribute_text(files, answers(rows)))
    (folder / "list_eval_partition.txt").write_text(numbers_text(files, parts))
    (folder / "identity_CelebA.txt").write_text(numbers_text(files, [100 + row // 2 for row in range(rows)]))
    return folder


ORIGINALS = (119_613, 162_769, 162_770, 182_636, 182_637, 0)
"""Original indices of the pictures of :func:`write_celeba_hq`: the limits of the parts among them."""


def mapping_text(originals: Sequence[int] = ORIGINALS) -> str:
    """The mapping, spaced as the published one."""
    rows = [f"{row:<12}{index:<12}{index + 1:06d}.jpg" for row, index in enumerate(originals)]
    return "\n".join(["idx         orig_idx    orig_file", *rows, ""])


def write_celeba_hq(folder: Path) -> Path:
    """CelebA-HQ as CelebAMask-HQ has it, with an identity list beside."""
    files = [f"{row}.jpg" for row in range(len(ORIGINALS))]
    (folder / "CelebA-HQ-img").mkdir(parents=True)
    for row, file in enumerate(files):
        (folder / "CelebA-HQ-img" / file).write_bytes(encoded(drawn(row, 128, 128)))
    (folder / "CelebA-HQ-to-CelebA-mapping.txt").write_text(mapping_text())
    (folder / "CelebAMask-HQ-attribute-anno.txt").write_text(attribute_text(files, answers(len(files))))
    originals = [f"{index + 1:06d}.jpg" for index in ORIGINALS]
    (folder / "identity_CelebA.txt").write_text(numbers_text(originals, range(50, 50 + len(files))))
    return folder


def write_labelled(folder: Path, text: str, *, size_px: int = 64) -> Path:
    """A CSV with ``text`` and a picture for each path in its first column."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "labels.csv").write_text(text, "utf-8")
    for row, line in enumerate(text.splitlines()[1:]):
        path = folder / line.split(",")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(drawn(row, size_px, size_px)))
    return folder / "labels.csv"
