"""Heads judged on renders: landmarks and classes per pixel that are exact, of faces that nobody has.

Renders name their classes otherwise than CelebAMask-HQ, and left and right differently; what means the same
is brought under one name, left and right together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from host.decoder.heads_file import Heads
from lab.face_networks import read_landmarks
from lab.latent_heads import Bench
from lab.picture_measures import landmark_rows
from lab.segmentation_labels import read_render_classes
from lsi.errors import DataError
from training.data_sets.data import open_data
from training.generator.segmentation_head import IGNORED, mean_f1, shrunk

SHARED: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("l_eye", "r_eye", "left_eye", "right_eye"), "eye"),
        **dict.fromkeys(("l_brow", "r_brow", "left_brow", "right_brow"), "brow"),
        **dict.fromkeys(("l_ear", "r_ear", "left_ear", "right_ear", "earring"), "ear"),
        **dict.fromkeys(("mouth", "mouth_interior"), "mouth"),
        **dict.fromkeys(("u_lip", "top_lip"), "upper lip"),
        **dict.fromkeys(("l_lip", "bottom_lip"), "lower lip"),
        **dict.fromkeys(("eyeglasses", "glasses"), "glasses"),
        **dict.fromkeys(("hat", "headwear"), "hat"),
        **dict.fromkeys(("cloth", "clothing"), "cloth"),
        **dict.fromkeys(("neck", "necklace"), "neck"),
        **dict.fromkeys(("skin", "beard"), "skin"),
        **{name: name for name in ("background", "nose", "hair")},
    }
)
"""CelebAMask-HQ and Face Synthetics to one set of names. What is not here does not count."""

Labels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class RenderFigures:
    """What heads reach, and what the same heads say of the mean latent, which needs no measurement.

    ``f1`` is a mean over classes, ``nme`` a part of the diagonal; NaN where there is no such head or label.
    """

    rows: int
    f1: float
    f1_of_mean: float
    nme: float
    nme_of_mean: float


def judged_on_renders(bench: Bench, heads: Heads, path: Path) -> RenderFigures:
    """Measure the renders in ``path`` with the bank and read them with the heads.

    Raises:
        DataError: The file holds neither landmarks nor classes per pixel.
        ShapeMismatchError: The heads belong to another generator.
    """
    heads.check(bench.decoder.space)
    data = open_data(path)
    rows = np.arange(len(data))
    offsets = bench.offsets(data, rows)
    still = np.zeros_like(offsets)
    f1 = [_f1(bench, heads, each, path) for each in (offsets, still)]
    nme = [_nme(heads, each, path) for each in (offsets, still)]
    if np.isnan([*f1, *nme]).all():
        raise DataError(f"{path.name} has no labels for these heads.", hint="exact landmarks or classes.")
    return RenderFigures(len(data), f1[0], f1[1], nme[0], nme[1])


def under_shared_names(labels: Labels, names: Sequence[str]) -> Labels:
    """Labels with the numbers of ``SHARED``'s names in alphabetical order, ``IGNORED`` for all others."""
    order = sorted(set(SHARED.values()))
    table = np.full(256, IGNORED, np.uint8)
    for index, name in enumerate(names):
        if name in SHARED:
            table[index] = order.index(SHARED[name])
    return table[labels]


def _f1(bench: Bench, heads: Heads, offsets: NDArray[np.float32], path: Path) -> float:
    classes = read_render_classes(path)
    found = heads.pixels(bench.decoder, offsets)
    if classes is None or found is None:
        return float("nan")
    labels, names = classes
    true = under_shared_names(shrunk(labels, bench.decoder.size_px), names)
    return mean_f1(under_shared_names(found, heads.classes), true, len(set(SHARED.values())))


def _nme(heads: Heads, offsets: NDArray[np.float32], path: Path) -> float:
    marked, found = read_landmarks(path), heads.points(offsets)
    if marked is None or found is None:
        return float("nan")
    points, usable = marked
    return float(landmark_rows(found[usable], points[usable]).mean())
