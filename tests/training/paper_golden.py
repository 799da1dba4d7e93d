"""Weights by the golden rule, and answers of the paper's own arithmetic to compare with.

``paper_golden.json`` was cut from arrays that the official code computed in float64 with these weights:
per d the first two of eight measurements, of each offset the 64 numbers at ``POSITIONS`` of the flattened
(18, 512) array and its Euclidean norm, and all 40 logits. ``LSI_OFFICIAL_GOLDEN`` may name a folder with
the whole arrays (``golden_d32.npz``, ``golden_d128.npz``: measurement, offset, logits).
"""

import functools
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lsi.patterns import PatternSet
from training.paper.paper_weights import FIELD_PX, STYLES, WIDTH, PaperWeights, expected_encoder_shapes

GOLDEN_D = (32, 128)
POSITIONS = (np.arange(64) * 1439) % (STYLES * WIDTH)
TOLERANCE = 1e-5
FOLDER = "LSI_OFFICIAL_GOLDEN"
_NORM = re.compile(r"(norm|convs\.\d+)\.(weight|bias)$")


@dataclass(frozen=True, slots=True)
class GoldenAnswers:
    """Shape: ``offset`` (2, 64), ``norm`` (2,), ``logits`` (2, 40)."""

    offset: NDArray[np.float64]
    norm: NDArray[np.float64]
    logits: NDArray[np.float64]


@functools.lru_cache(maxsize=1)  # 115 MB each
def golden_weights(d: int) -> PaperWeights:
    """Encoder and head whose every number follows from its name; the masks are closed."""
    names = sorted(expected_encoder_shapes(d).items())
    encoder = {name: _drawn(name, shape, 1000 + index) for index, (name, shape) in enumerate(names)}
    weight = np.random.default_rng(1).standard_normal((40, 9216)) / 96
    bias = 0.05 * np.random.default_rng(2).standard_normal(40)
    masks = PatternSet(np.zeros((d, FIELD_PX, FIELD_PX), np.bool_))
    return PaperWeights(masks, encoder, weight.astype(np.float32), bias.astype(np.float32))


def golden_measurements(d: int) -> NDArray[np.float32]:
    """Eight measurements, (8, d)."""
    return np.random.default_rng(7).standard_normal((8, d)).astype(np.float32)


def golden_answers(d: int) -> GoldenAnswers:
    """What the official arithmetic answers to the first two of them."""
    found = json.loads(Path(__file__).with_name("paper_golden.json").read_text("utf-8"))[str(d)]
    return GoldenAnswers(*(np.array(found[name]) for name in ("offset", "norm", "logits")))


def official_arrays(d: int) -> Mapping[str, NDArray[np.float32]]:
    """The whole arrays, if the environment says where they are."""
    folder = os.environ.get(FOLDER)
    if folder is None:
        pytest.skip(f"{FOLDER} names no folder with golden_d{d}.npz")
    with np.load(Path(folder) / f"golden_d{d}.npz") as archive:
        return {name: archive[name] for name in archive.files}


def check_answers(d: int, offset: NDArray[np.float64], logits: NDArray[np.float64]) -> None:
    """Compare offsets (2, 18, 512) and logits (2, 40) with the golden ones."""
    answers = golden_answers(d)
    flat = offset.reshape(2, -1)
    np.testing.assert_allclose(flat[:, POSITIONS], answers.offset, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(np.linalg.norm(flat, axis=1), answers.norm, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(logits, answers.logits, rtol=0, atol=TOLERANCE)


def _drawn(name: str, shape: tuple[int, ...], seed: int) -> NDArray[np.float32]:
    n = np.random.default_rng(seed).standard_normal(shape)
    norm = _NORM.search(name)
    if name.endswith("sgu.weight"):
        n *= 0.2
    elif name.endswith("sgu.bias"):
        n = 1 + 0.2 * n
    elif norm is not None:
        n = 1 + 0.3 * n if norm[2] == "weight" else 0.2 * n
    else:
        n *= 1 / np.sqrt(shape[1]) if len(shape) > 1 else 0.05
    return n.astype(np.float32)
