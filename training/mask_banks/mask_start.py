"""Where the logits of a mask bank start: dither, noise, or directions found in the data.

All starts have shape (d, H, W) and stay within +-``CLAMP`` of ``masks``, where gradients reach them.
"""

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from lsi.errors import ConfigError, DataError

DITHER_PX: Final = 8
DITHER_REACH: Final = 0.3
"""Largest logit of the start: a hundred steps of the optimiser at its full rate."""
DIRECTION_PX: Final = 16
"""Directions are sought in area means on this grid, so that they are smooth and the fit is well posed."""
RIDGE: Final = 0.1
"""Added to the covariance, in units of its mean variance; holds noise directions down."""
PEAK_SIGMA: Final = 2.0
"""A direction of this many standard deviations makes its place of the mask fully open or closed."""
_RANK_TOLERANCE: Final = 1e-6
"""Variances below this part of the largest are rounding of float32."""


def dithered_start(d: int, generator: torch.Generator, size_px: int) -> Tensor:
    """An ordered dither, rolled differently for each mask, with a little grain.

    Smooth changes of such logits become halftones of smooth masks.
    """
    dither = _rolled_dither(d, generator, size_px)
    grain = 0.05 * torch.randn(dither.shape, generator=generator, device=dither.device)
    return DITHER_REACH * (dither + grain)


def white_noise_start(d: int, generator: torch.Generator, size_px: int) -> Tensor:
    """Independent logits, uniform within ``DITHER_REACH``: the paper's start, moved to be symmetric."""
    uniform = torch.rand((d, size_px, size_px), generator=generator, device=generator.device)
    return DITHER_REACH * (2 * uniform - 1)


def start_from_pca(fields: Tensor, d: int, generator: torch.Generator) -> Tensor:
    """Halftones of the d strongest principal components of ``fields``.

    Args:
        fields: (n, H, W), linear luminance, H = W. Give the fields at the size of the mask's features.
        d: At most the rank of the fields on the grid of ``DIRECTION_PX``.
        generator: Rolls the dither of each mask.

    Raises:
        DataError: Fewer than two fields, not square, or a rank below d.
    """
    return _halftone_logits(_principal(_samples(fields), d), fields.shape[-1], generator)


def start_from_lda(fields: Tensor, labels: Tensor, d: int, generator: torch.Generator) -> Tensor:
    """Halftones of the d filters that tell the labels best (Fisher's, all labels at once).

    With S the covariance of the fields plus a ridge and C their covariance with the standardised
    labels, the filters are ``S^-1/2 u`` for the left singular vectors u of ``S^-1/2 C``. There are at most
    as many as labels; principal components of what the filters do not see follow.

    Args:
        fields: (n, H, W), linear luminance, H = W.
        labels: (n, K), positive for yes, anything else for no.
        d: At most the rank of the fields on the grid of ``DIRECTION_PX``.
        generator: Rolls the dither of each mask.

    Raises:
        DataError: As ``start_from_pca``, or labels of another number of rows, or none with two kinds.
    """
    samples = _samples(fields)
    if labels.ndim != 2 or len(labels) != len(fields):  # noqa: PLR2004 - rows and attributes
        found = f"{len(fields)} fields came with labels of shape {tuple(labels.shape)}."
        raise DataError(found, hint="one row of labels per field.")
    filters = _fisher_filters(samples, (labels > 0).to(samples.dtype))[:, :d]
    if filters.shape[1] < d:
        basis = torch.linalg.qr(filters).Q
        rest = _principal(samples - (samples @ basis) @ basis.T, d - filters.shape[1])
        filters = torch.cat((filters, rest), dim=1)
    return _halftone_logits(filters, fields.shape[-1], generator)


def _samples(fields: Tensor) -> Tensor:
    """Area means over each field's own mean light, as the ratio of arms sees them. (n, pixels), centred."""
    if fields.ndim != 3 or fields.shape[1] != fields.shape[2] or len(fields) < 2:  # noqa: PLR2004 - (n, H, W)
        found = f"A start from data needs two square fields or more, found shape {tuple(fields.shape)}."
        raise DataError(found, hint="fields of shape (n, H, W) with H = W.")
    grid_px = min(DIRECTION_PX, fields.shape[-1])
    coarse = functional.adaptive_avg_pool2d(fields[:, None].float(), grid_px).flatten(1)
    light = coarse.mean(dim=1, keepdim=True)
    if not bool((light > 0).all()):
        raise DataError("A field without light has no direction.", hint="leave empty fields out.")
    relative = coarse / light
    return relative - relative.mean(dim=0)


def _principal(samples: Tensor, d: int) -> Tensor:
    """The d strongest principal components as columns, strongest first."""
    variances, vectors = torch.linalg.eigh(samples.T @ samples / len(samples))
    rank = int((variances > _RANK_TOLERANCE * variances[-1].clamp_min(_RANK_TOLERANCE)).sum())
    if d > rank:
        found = f"{d} directions were asked for, the fields have {rank}."
        raise DataError(found, hint="fewer masks, more fields, or the dithered start.")
    strongest: Tensor = vectors.flip(1)[:, :d]
    return strongest


def _fisher_filters(samples: Tensor, labels: Tensor) -> Tensor:
    """Filters (pixels, rank) that predict the labels best, best first."""
    share = labels.mean(dim=0)
    both = (share > 0) & (share < 1)
    if not bool(both.any()):
        raise DataError("No label has both kinds.", hint="labels with yes and no among the rows.")
    standard = ((labels - share) / (share * (1 - share)).clamp_min(1e-12).sqrt())[:, both]
    covariance = samples.T @ samples / len(samples)
    ridge = RIDGE * covariance.diagonal().mean() * torch.eye(len(covariance), device=samples.device)
    variances, vectors = torch.linalg.eigh(covariance + ridge)
    whiten = vectors / variances.sqrt() @ vectors.T
    found = torch.linalg.svd(whiten @ (samples.T @ standard) / len(samples), full_matrices=False)
    rank = int((found.S / found.S[0] > _RANK_TOLERANCE).sum())
    filters: Tensor = whiten @ found.U[:, :rank]
    return filters


def _halftone_logits(directions: Tensor, size_px: int, generator: torch.Generator) -> Tensor:
    """Columns of ``directions`` scaled to +-1, brought to size and laid over a dither.

    The dither is spread evenly over -1..1, so the open fraction of a place is (1 + direction) / 2.
    """
    d = directions.shape[1]
    centred = directions - directions.mean(dim=0)
    scaled = (centred / (PEAK_SIGMA * centred.std(dim=0, correction=0).clamp_min(1e-12))).clamp(-1, 1)
    grid_px = round(len(scaled) ** 0.5)
    coarse = scaled.T.reshape(d, 1, grid_px, grid_px)
    smooth = functional.interpolate(coarse, size=(size_px, size_px), mode="bilinear", align_corners=False)
    return DITHER_REACH * (smooth[:, 0] + _rolled_dither(d, generator, size_px))


def _rolled_dither(d: int, generator: torch.Generator, size_px: int) -> Tensor:
    repeats = -(-size_px // DITHER_PX)
    dither = ordered_dither().to(generator.device).repeat(repeats, repeats)[:size_px, :size_px]
    rolls = torch.randint(0, DITHER_PX, (d, 2), generator=generator, device=generator.device).tolist()
    return torch.stack([dither.roll((down, right), (0, 1)) for down, right in rolls])


def ordered_dither() -> Tensor:
    """Bayer's matrix of 8 x 8 thresholds, spread evenly over -1..1."""
    order = torch.zeros(1, 1)
    while len(order) < DITHER_PX:
        top = torch.cat((4 * order, 4 * order + 2), dim=1)
        bottom = torch.cat((4 * order + 3, 4 * order + 1), dim=1)
        order = torch.cat((top, bottom), dim=0)
    return 2 * (order + 0.5) / DITHER_PX**2 - 1


def checked_grid(size_px: int, feature_px: int) -> int:
    """Places per side of a mask of ``size_px`` whose features measure ``feature_px``.

    Raises:
        ConfigError: The features do not divide the size.
    """
    if feature_px < 1 or size_px < 1 or size_px % feature_px:
        fitting = ", ".join(str(px) for px in range(1, max(size_px, 0) + 1) if size_px % px == 0)
        found = f"Features of {feature_px} px do not divide a mask of {size_px} px."
        raise ConfigError(found, hint=f"one of {fitting}." if fitting else "a mask of 1 px or more.")
    return size_px // feature_px
