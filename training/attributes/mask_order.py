"""The order of masks within a scan that suffers least from motion.

A scene that moves evenly by the path p during a scan of d masks is displaced by ``p t_k`` while slot k is
shown, ``t_k = (k + 1/2) / d - 1/2``. To first order mask i in slot k then errs by ``p t_k g_i``, g_i being
the derivative of its measurement along the path. Summed over masks the squared error is
``p^2 sum_k t_k^2 s_order[k]`` with s_i the mean square of g_i: smallest when the largest s stand where
t^2 is smallest, in the middle of the scan (rearrangement inequality).

Light that drifts evenly needs no order: it cancels in the ratio of arms.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lsi.errors import ConfigError, DataError
from training.read_outs.read_out import Dense, ReadOutWeights

_ROWS = 256
"""Fields shifted at once; bounds the memory."""
_QUIETEST = 1e-8
"""Variance of a ratio below which a converter of 12 bits sees no change; such a mask is not sensitive."""


def order_against_motion(
    masks: NDArray[np.bool_],
    fields: NDArray[np.float32],
    prefixes: Sequence[int] = (),
    shift_px: int = 1,
) -> NDArray[np.intp]:
    """Which mask is shown in each slot, so that motion within a scan costs least.

    Args:
        masks: (d, H, W).
        fields: (n, H, W), linear luminance, scenes as the sensor will see them.
        prefixes: The sizes of a nested bank; masks then stay within their group (those between two sizes),
            and a slot counts with its displacements in the scans of all sizes that show it.
            A bundle cut to one size is better ordered by itself, without prefixes.
        shift_px: Shift for the derivative, in pixels of the masks.

    Returns:
        A permutation (d,): slot k shows mask ``order[k]``.

    Raises:
        ConfigError: Prefixes not ascending within 1..d, or a shift that leaves the field.
        DataError: Masks and fields of different size, or fewer than two fields.
    """
    sensitivity = motion_sensitivity(masks, fields, shift_px)
    return order_by_sensitivity(sensitivity, prefixes)


def order_by_sensitivity(sensitivity: NDArray[np.float64], prefixes: Sequence[int] = ()) -> NDArray[np.intp]:
    """The order of ``order_against_motion`` for known sensitivities (d,)."""
    d = len(sensitivity)
    sizes = _sizes(prefixes, d)
    cost = sum(np.pad(slot_times(size) ** 2, (0, d - size)) for size in sizes)
    order = np.empty(d, np.intp)
    for first, last in pairwise((0, *sizes)):
        slots = first + np.argsort(np.asarray(cost)[first:last], kind="stable")
        order[slots] = first + np.argsort(-sensitivity[first:last], kind="stable")
    return order


def slot_times(d: int) -> NDArray[np.float64]:
    """Middle of each slot in units of the scan, 0 at the scan's middle. Shape (d,), within +-1/2."""
    times: NDArray[np.float64] = (np.arange(d) + 0.5) / d - 0.5
    return times


def motion_sensitivity(
    masks: NDArray[np.bool_], fields: NDArray[np.float32], shift_px: int = 1
) -> NDArray[np.float64]:
    """How much a shift of the scene changes each measurement. Shape (d,), per squared pixel.

    Mean over fields and directions of the squared derivative of the ratio of arms, over the variance of
    the ratio between fields, because the read-out standardises. Derivatives are central differences of
    fields shifted by +-``shift_px`` along both axes; what comes in repeats the edge.
    """
    _check(masks, fields, shift_px)
    flat = masks.reshape(len(masks), -1).astype(np.float32)
    parts = [fields[row : row + _ROWS] for row in range(0, len(fields), _ROWS)]
    variance = np.concatenate([_ratios(flat, part) for part in parts]).var(axis=0, dtype=np.float64)
    squares = sum(_squared_derivatives(flat, part, shift_px) for part in parts)
    mean_square = np.asarray(squares) / (2 * len(fields))
    sensitivity: NDArray[np.float64] = mean_square / np.maximum(variance, _QUIETEST)
    return sensitivity


def read_out_in_order(read_out: ReadOutWeights, order: NDArray[np.intp]) -> ReadOutWeights:
    """The same read-out for measurements whose masks are shown in ``order``.

    Raises:
        ConfigError: Not a permutation of the read-out's measurements.
    """
    if sorted(order.tolist()) != list(range(read_out.d)):
        found = f"An order of {len(order)} masks does not fit a read-out of {read_out.d} measurements."
        raise ConfigError(found, hint="a permutation of 0 to d - 1.")
    first, *rest = read_out.layers
    layers = (Dense(first.weights[:, order], first.bias), *rest)
    return ReadOutWeights(read_out.mean[order], read_out.scale[order], layers)


def _squared_derivatives(
    flat: NDArray[np.float32], fields: NDArray[np.float32], shift_px: int
) -> NDArray[np.float64]:
    """Sum over fields and the two axes."""
    total = np.zeros(len(flat))
    for axis in (1, 2):
        ahead, behind = (_ratios(flat, _shifted(fields, axis, px)) for px in (shift_px, -shift_px))
        total += np.square((ahead - behind) / (2 * shift_px)).sum(axis=0, dtype=np.float64)
    return total


def _shifted(fields: NDArray[np.float32], axis: int, by_px: int) -> NDArray[np.float32]:
    places = np.clip(np.arange(fields.shape[axis]) - by_px, 0, fields.shape[axis] - 1)
    return fields.take(places, axis=axis)


def _ratios(flat: NDArray[np.float32], fields: NDArray[np.float32]) -> NDArray[np.float32]:
    """Noise-free ratios of arms (n, d): ``2 J+ / (J+ + J-) - 1``."""
    light = fields.reshape(len(fields), -1)
    total = np.maximum(light.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    ratios: NDArray[np.float32] = 2 * (light @ flat.T) / total - 1
    return ratios


def _sizes(prefixes: Sequence[int], d: int) -> tuple[int, ...]:
    sizes = (*prefixes, d) if d not in prefixes else tuple(prefixes)
    if list(sizes) != sorted(set(sizes)) or sizes[0] < 1:
        raise ConfigError(f"Prefixes {tuple(prefixes)} of {d} masks.", hint=f"ascending sizes in 1..{d}.")
    return sizes


def _check(masks: NDArray[np.bool_], fields: NDArray[np.float32], shift_px: int) -> None:
    if masks.ndim != 3 or fields.ndim != 3 or masks.shape[1:] != fields.shape[1:]:  # noqa: PLR2004 - (n, H, W)
        found = f"Masks of shape {masks.shape} and fields of shape {fields.shape}."
        raise DataError(found, hint="masks (d, H, W) and fields (n, H, W) of one size.")
    if len(fields) < 2:  # noqa: PLR2004 - a variance needs two
        raise DataError(f"{len(fields)} fields have no variance.", hint="two fields or more.")
    if not 1 <= shift_px < min(fields.shape[1:]):
        raise ConfigError(f"A shift of {shift_px} px.", hint=f"1 to {min(fields.shape[1:]) - 1}.")
