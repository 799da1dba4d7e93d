"""One reader for every method's pictures: what they still tell, by linear heads on small grey pictures.

It is fitted anew on each method's own pictures of the training scenes, so that it knows their faults.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lab.picture_measures import landmark_rows
from training.data_sets.luminance import area_resize
from training.latent.latent_exam import macro_auc
from training.latent.latent_heads import fit_head

READ_PX: Final = 32
PENALTIES: Final = (0.01, 0.1, 1.0, 10.0)
"""Ridges, in units of the number of rows."""
_HELD_OUT: Final = 4
"""One of so many training rows judges the penalty."""

Codes = NDArray[np.uint8]
Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True, repr=False)
class Told:
    """What the reader should find in some pictures (n, R, R, 3).

    Shape: ``labels`` (n, K) int8, +1 yes, -1 no, 0 unknown; ``landmarks`` (n, 68, 2) or ``None``.
    """

    labels: NDArray[np.int8]
    landmarks: Points | None


def read_pictures(train: Codes, taught: Told, val: Codes, true: Told) -> dict[str, float]:
    """Macro AUC of the attributes and, where there are landmarks, their error."""
    seen, asked = _pixels(train), _pixels(val)
    found = {"attribute_auc": _attributes(seen, taught.labels, asked, true.labels)}
    if taught.landmarks is not None and true.landmarks is not None:
        found["landmark_nme"] = _landmarks(seen, taught.landmarks, asked, true.landmarks)
    return found


def _pixels(pictures: Codes) -> NDArray[np.float32]:
    grey: NDArray[np.float32] = pictures[..., 0].astype(np.float32) / np.float32(255)
    return area_resize(grey, min(READ_PX, grey.shape[-1]))


def _attributes(seen: Any, labels: Any, asked: Any, wanted: Any) -> float:  # noqa: ANN401 - arrays of the caller
    held = np.arange(len(seen)) % _HELD_OUT == 0

    def score(penalty: float) -> float:
        head = fit_head(seen[~held], labels[~held], penalty * (~held).sum())
        return macro_auc(head.predict(seen[held]), labels[held])

    best = _best(score)
    return macro_auc(fit_head(seen, labels, best * len(seen)).predict(asked), wanted)


def _landmarks(seen: Any, points: Points, asked: Any, wanted: Points) -> float:  # noqa: ANN401 - same
    held, flat = np.arange(len(seen)) % _HELD_OUT == 0, points.reshape(len(points), -1)

    def score(penalty: float) -> float:
        head = fit_head(seen[~held], flat[~held], penalty * (~held).sum())
        return -float(
            landmark_rows(head.predict(seen[held]).reshape(-1, *points.shape[1:]), points[held]).mean()
        )

    head = fit_head(seen, flat, _best(score) * len(seen))
    return float(landmark_rows(head.predict(asked).reshape(wanted.shape), wanted).mean())


def _best(score: Any) -> float:  # noqa: ANN401 - a function of a penalty
    scores = [score(penalty) for penalty in PENALTIES]
    known = [-np.inf if np.isnan(each) else each for each in scores]
    return PENALTIES[int(np.argmax(known))]
