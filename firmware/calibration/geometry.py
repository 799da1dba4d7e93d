"""Shift, scale and rotation between DMD and field, from edges moved over the printed target.

What the target would read under a placement is computed and the placement changed until it
reads what was measured: Levenberg and Marquardt's least squares over seven numbers, from the
best of starts all round the circle, with and without a mirror image. Lengths are in sides of
the field until the end.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from firmware.calibration.patterns import DIRECTIONS_DEG, EDGES, edge_patterns
from firmware.calibration.target import whiteness
from lsi.errors import RigCalibrationError
from lsi.placement import MAX_SCALE, MIN_SCALE, Placement, PlacementError

Floats = NDArray[np.float64]

MAX_RMS: Final = 0.01
"""Of shares of light. A target that is bent, dirty or not this one leaves more; so does any other scene."""
MIN_CONTRAST: Final = 0.5
"""White less black, in parts of white, that the print has to have."""
_SUBPIXELS: Final = 2
_STARTS: Final = 24
_START_SCALES: Final = (0.8, 1.0, 1.25)
_REFINED: Final = 4
_COARSE_ROUNDS: Final = 10
_ROUNDS: Final = 40
_SETTLED: Final = 1e-7
_STEP: Final = 1e-4
_START_BLACK: Final = 0.05
_PARAMETERS: Final = 7
_MAX_DARK: Final = 0.02
"""Of shares of light: how much of what is left may be put down to the dark references."""


@dataclass(frozen=True, slots=True)
class GeometryFit:
    """Where the field lies, how sure that is, and what the fit leaves.

    Attributes:
        placement: The result.
        error: Its standard errors.
        black: Light of the printed black, in parts of the white.
        residuals: Measured less computed share of light, per edge pattern.
    """

    placement: Placement
    error: PlacementError
    black: float
    residuals: tuple[float, ...]

    @property
    def rms(self) -> float:
        """Root mean square of the residuals."""
        return math.sqrt(sum(value**2 for value in self.residuals) / len(self.residuals))

    def direction_rms(self) -> tuple[float, ...]:
        """Root mean square of the residuals of each of ``DIRECTIONS_DEG``."""
        rows = np.array(self.residuals).reshape(len(DIRECTIONS_DEG), EDGES)
        return tuple(np.sqrt((rows**2).mean(axis=1)).tolist())


def fit_geometry(open_shares: Floats, over_field: Floats, mirror_scale_px: int) -> GeometryFit:
    """The placement under which the printed target reads ``open_shares``.

    Args:
        open_shares: Share of light on arm + per pattern of ``edge_patterns``, (60,).
        over_field: Light of a white card at each pixel, (N, N).
        mirror_scale_px: Mirrors per pixel.

    Raises:
        RigCalibrationError: What was seen is not the target.
    """
    coarse, model = _Model(over_field, open_shares, 1), _Model(over_field, open_shares, _SUBPIXELS)
    fits = [
        coarse.refined(start, is_flipped=flipped, rounds=_COARSE_ROUNDS) for start, flipped in coarse.starts()
    ]
    likely = min(fits, key=lambda fit: fit.cost)
    best = model.refined(likely.numbers, is_flipped=likely.is_flipped)
    field_px = len(over_field) * mirror_scale_px
    found = _in_mirrors(best, model, field_px)
    if found.rms > MAX_RMS or found.black > 1 - MIN_CONTRAST:
        reason = f"the fit leaves {found.rms:.3f} (at most {MAX_RMS})"
        hint = "hold hardware/targets/calibration-target.svg upright, flat, filling the view, in even light."
        raise RigCalibrationError(
            f"This is not the printed target: {reason}, black is {found.black:.0%}.", hint=hint
        )
    return found


@dataclass(frozen=True, slots=True)
class _Point:
    """A state of the fit; ``cost`` is the sum of squared residuals.

    Numbers: x, y, log scale, rotation, black, and what errors of the dark references of arm +
    and arm - add to every share s: ``a + b s``. Each dark is read once a scan and stands in
    all shares, so its error would else be taken for a shift.
    """

    numbers: Floats
    is_flipped: bool
    cost: float


class _Model:
    """What the edge patterns read of the target, and how far that is from ``measured``.

    Each pixel's light is computed at ``subpixels`` x ``subpixels`` places.
    """

    def __init__(self, over_field: Floats, measured: Floats, subpixels: int) -> None:
        side_px = len(over_field)
        self._over_field = over_field
        self._measured = measured
        self._masks = edge_patterns(side_px).patterns.masks.reshape(len(measured), -1).astype(np.float64)
        self._subpixels = subpixels
        fine = side_px * subpixels
        axis = (np.arange(fine) + 0.5) / fine - 0.5
        self._x, self._y, self._spacing = axis[None, :], axis[:, None], 1 / fine

    def residuals(self, numbers: Floats, *, is_flipped: bool) -> Floats:
        """Measured less computed shares, (60,)."""
        light = self._light(numbers, is_flipped=is_flipped)
        shares: Floats = self._masks @ light / light.sum()
        offset, slope = numbers[5:].tolist()
        left: Floats = self._measured - offset - (1 + slope) * shares
        return left

    def starts(self) -> list[tuple[Floats, bool]]:
        """The most likely of many placements all round, best first."""
        seen = self._middle_of_light()
        tried: list[tuple[float, int, Floats, bool]] = []
        for flipped in (False, True):
            for rotation in np.arange(_STARTS) * 2 * np.pi / _STARTS:
                for scale in _START_SCALES:
                    numbers = np.array([0.0, 0.0, math.log(scale), rotation, _START_BLACK, 0.0, 0.0])
                    numbers[:2] = seen - self._middle_of(numbers, is_flipped=flipped)
                    left = self.residuals(numbers, is_flipped=flipped)
                    tried.append((float(left @ left), len(tried), numbers, flipped))
        return [(numbers, flipped) for _, _, numbers, flipped in sorted(tried)[:_REFINED]]

    def refined(self, start: Floats, *, is_flipped: bool, rounds: int = _ROUNDS) -> _Point:
        """Levenberg and Marquardt from ``start`` until nothing changes, or for so many rounds."""
        numbers, damping = start, 1e-3
        left = self.residuals(numbers, is_flipped=is_flipped)
        cost = float(left @ left)
        slopes = self.slopes(numbers, is_flipped=is_flipped)
        for _ in range(rounds):
            normal = slopes.T @ slopes
            step = np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-12), slopes.T @ left)
            tried = _within(numbers + step)
            left_there = self.residuals(tried, is_flipped=is_flipped)
            cost_there = float(left_there @ left_there)
            if cost_there >= cost:
                damping *= 10
                if damping > 1 / _SETTLED:
                    break
                continue
            is_settled = float(np.abs(tried - numbers).max()) < _SETTLED
            numbers, left, cost, damping = tried, left_there, cost_there, damping / 10
            if is_settled:
                break
            slopes = self.slopes(numbers, is_flipped=is_flipped)
        return _Point(numbers, is_flipped, cost)

    def slopes(self, numbers: Floats, *, is_flipped: bool) -> Floats:
        """Change of the computed shares with each number, (60, 7), by central differences."""
        columns = []
        for step in _STEP * np.eye(_PARAMETERS):
            ahead = self.residuals(numbers + step, is_flipped=is_flipped)
            behind = self.residuals(numbers - step, is_flipped=is_flipped)
            columns.append((behind - ahead) / (2 * _STEP))
        return np.stack(columns, axis=1)

    def _light(self, numbers: Floats, *, is_flipped: bool) -> Floats:
        """Light of the target at each pixel, (N * N,)."""
        placement = _placement(numbers, is_flipped=is_flipped)
        x, y = placement.to_field(self._x, self._y)
        white = whiteness(x, y, self._spacing / placement.scale)
        side_px = len(self._over_field)
        pixels = white.reshape(side_px, self._subpixels, side_px, self._subpixels).mean(axis=(1, 3))
        black = float(numbers[4])
        light: Floats = (self._over_field * (black + (1 - black) * pixels)).reshape(-1)
        return light

    def _middle_of_light(self) -> Floats:
        """Column and row of the light's middle, from the edges that move right and those that move down."""
        rows = self._measured.reshape(len(DIRECTIONS_DEG), EDGES)
        upright = rows[[DIRECTIONS_DEG.index(0), DIRECTIONS_DEG.index(90)]]
        middle: Floats = 0.5 - (upright.sum(axis=1) + 0.5) / (EDGES + 1)
        return middle

    def _middle_of(self, numbers: Floats, *, is_flipped: bool) -> Floats:
        side_px = len(self._over_field)
        light = self._light(numbers, is_flipped=is_flipped).reshape(side_px, side_px)
        axis = (np.arange(side_px) + 0.5) / side_px - 0.5
        middle: Floats = np.array([light.sum(axis=0) @ axis, light.sum(axis=1) @ axis]) / light.sum()
        return middle


def _placement(numbers: Floats, *, is_flipped: bool) -> Placement:
    """The placement in sides of the field that a state of the fit means."""
    x, y, log_scale, rotation = numbers[:4].tolist()
    return Placement(x, y, math.exp(log_scale), math.remainder(rotation, 2 * math.pi), is_flipped)


def _within(numbers: Floats) -> Floats:
    """The nearest state that a placement can have: steps from a bad start may be long."""
    reach = math.log(MAX_SCALE / 2)
    low = np.array([-1.0, -1.0, max(math.log(2 * MIN_SCALE), -reach), -np.inf, -0.5, -_MAX_DARK, -_MAX_DARK])
    high = np.array([1.0, 1.0, reach, np.inf, 0.95, _MAX_DARK, _MAX_DARK])
    return np.clip(numbers, low, high)


def _in_mirrors(best: _Point, model: _Model, field_px: int) -> GeometryFit:
    placement = _placement(best.numbers, is_flipped=best.is_flipped)
    slopes = model.slopes(best.numbers, is_flipped=best.is_flipped)
    left = model.residuals(best.numbers, is_flipped=best.is_flipped)
    variance = best.cost / (len(left) - _PARAMETERS)
    errors = np.sqrt(variance * np.diag(np.linalg.pinv(slopes.T @ slopes))).tolist()
    return GeometryFit(
        Placement(
            placement.shift_x_px * field_px,
            placement.shift_y_px * field_px,
            placement.scale,
            placement.rotation_rad,
            placement.is_flipped,
        ),
        PlacementError(errors[0] * field_px, errors[1] * field_px, errors[2] * placement.scale, errors[3]),
        black=float(best.numbers[4]),
        residuals=tuple(left.tolist()),
    )
