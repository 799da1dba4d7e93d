"""Pictures guessed from messages by somebody who knows masks, model and noise; how like they are.

Pictures here are luminance as a screen shows it (sRGB-coded, 0..1), 64 x 64: (n, 64, 64) float32. None is
written anywhere.

Ref: Wang et al., "Image quality assessment", IEEE TIP 2004 (SSIM).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lab.audit.attackers import Nearest, Values, are_few

Pictures = NDArray[np.float32]
Guess = Callable[[Values], Pictures]
"""From messages (n, F) to pictures (n, H, W)."""

RIDGE: Final = 1e-4
"""Least part of unit variance that counts as noise in the linear estimate."""
_LINEAR_PART: Final = 0.0031308


def shown(luminance: NDArray[np.float32]) -> Pictures:
    """Linear luminance as a screen codes it (IEC 61966-2-1)."""
    light = np.clip(luminance, 0, 1)
    coded: Pictures = np.where(light <= _LINEAR_PART, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return coded.astype(np.float32, copy=False)


@dataclass(frozen=True, slots=True, repr=False)
class Examples:
    """What an attacker learns to reconstruct from. Shape: ``messages`` (n, F), ``pictures`` (n, H, W)."""

    messages: Values
    pictures: Pictures


def mean_picture(examples: Examples) -> Guess:
    """Always the mean picture: what is known without any message."""
    mean = examples.pictures.mean(axis=0)
    return lambda messages: np.broadcast_to(mean, (len(messages), *mean.shape))


def nearest_picture(examples: Examples) -> Guess:
    """The learned picture whose message is nearest; of several, the first."""
    base = Nearest.learned_from(examples.messages)

    def guess(messages: Values) -> Pictures:
        scores = base.scores(messages, examples.messages)
        nearest: Pictures = examples.pictures[scores.argmax(axis=1)]
        return nearest

    return guess


def best_linear(examples: Examples) -> Guess:
    """Linear minimum mean square error; for few messages the mean of those who sent the same, which is best.

    Noise is in the examples, so the fit knows it.
    """
    if are_few(examples.messages):
        return _mean_of_like(examples)
    base = Nearest.learned_from(examples.messages)
    design = ((examples.messages - base.mean) * base.scale).astype(np.float32)
    mean = examples.pictures.mean(axis=0)
    flat = examples.pictures.reshape(len(design), -1)
    ridge = RIDGE * len(design) * np.eye(design.shape[1])
    # The design is centred, so the mean picture falls out of the products.
    slopes = np.linalg.solve(design.T.astype(np.float64) @ design + ridge, design.T @ flat)

    def guess(messages: Values) -> Pictures:
        asked = (messages - base.mean) * base.scale
        pictures: Pictures = (mean + (asked @ slopes).reshape(-1, *mean.shape)).astype(np.float32)
        return pictures.clip(0, 1)

    return guess


def decoder(examples: Examples) -> Guess:
    """A network on top of the linear estimate; see ``lab.audit.decoder``."""
    # PyTorch takes seconds to import and is an extra.
    from lab.audit.decoder import learned_decoder  # noqa: PLC0415

    return learned_decoder(examples, best_linear(examples))


TRIVIAL: Final[Mapping[str, Callable[[Examples], Guess]]] = {
    "mean face": mean_picture,
    "nearest training face": nearest_picture,
}


def estimators_for(examples: Examples) -> dict[str, Callable[[Examples], Guess]]:
    """Where messages are few, the mean of each is the best estimate there is; else a decoder may see more."""
    if are_few(examples.messages):
        return {"mean of like messages": best_linear}
    return {"linear MMSE": best_linear, "decoder": decoder}


def likeness(guessed: Pictures, true: Pictures) -> dict[str, float]:
    """Mean PSNR in dB and mean SSIM over pictures."""
    return {"psnr_db": float(psnr_db(guessed, true).mean()), "ssim": float(ssim(guessed, true).mean())}


def psnr_db(guessed: Pictures, true: Pictures) -> Values:
    """PSNR of each picture against a peak of 1. Shape (n,)."""
    error = ((guessed.astype(np.float64) - true) ** 2).mean(axis=(1, 2))
    found: Values = -10 * np.log10(np.maximum(error, 1e-12))
    return found


def ssim(guessed: Pictures, true: Pictures) -> Values:
    """SSIM of each picture with Gaussian windows. Shape (n,)."""
    # An extra of its own.
    from skimage.metrics import structural_similarity  # noqa: PLC0415

    def one(pair: tuple[Any, Any]) -> float:
        value = structural_similarity(
            *pair, data_range=1.0, gaussian_weights=True, use_sample_covariance=False
        )
        return float(value)

    return np.array([one(pair) for pair in zip(guessed, true, strict=True)])


def _mean_of_like(examples: Examples) -> Guess:
    states = np.unique(examples.messages, axis=0)
    place = {tuple(state): k for k, state in enumerate(states)}
    rows = np.array([place[tuple(message)] for message in examples.messages])
    overall = examples.pictures.mean(axis=0, keepdims=True)
    # One more average picture each, so that a message seen once is not taken for a person.
    means = [
        (examples.pictures[rows == k].sum(axis=0, keepdims=True) + overall) / ((rows == k).sum() + 1)
        for k in range(len(states))
    ]
    table = np.concatenate([*means, overall]).astype(np.float32)
    return lambda messages: table[[place.get(tuple(message), len(states)) for message in messages]]
