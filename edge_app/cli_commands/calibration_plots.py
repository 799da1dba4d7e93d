"""Drawings of a calibration, as SVG text: throughput of the blocks, linearity, residuals of the fit.

None shows a scene: the map is that of a white card, and the fit was refused unless it
looked like the printed target.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from firmware.calibration.patterns import BLOCKS, DIRECTIONS_DEG, EDGES, STEPS
from firmware.calibration.procedure import CalibrationResult
from lsi.errors import RigCalibrationError
from lsi.whole_file import whole_file

WIDTH_PX: Final = 480
HEIGHT_PX: Final = 320
_LEFT_PX: Final = 64
_TOP_PX: Final = 40
_PLOT_WIDTH_PX: Final = WIDTH_PX - 2 * _LEFT_PX
_PLOT_HEIGHT_PX: Final = 220
_COLOURS: Final = ("#1b6ca8", "#c8553d", "#5a8f29", "#7a4f9a")
"""Blue, red, green, violet: told apart in print and by most eyes."""
Curve = tuple[str, Sequence[float], Sequence[float]]
"""Name, places, values."""
_STYLE: Final = 'font-family="sans-serif" font-size="12"'


def write_plots(folder: Path, result: CalibrationResult) -> list[Path]:
    """Write three drawings into ``folder``, which is made when it is not there.

    Raises:
        RigCalibrationError: It cannot be written to.
    """
    drawings = {
        "throughput.svg": throughput_svg(
            result.throughput.blocks.reshape(-1).tolist(), result.throughput.dim
        ),
        "linearity.svg": linearity_svg(result.linearity.residuals),
        "placement.svg": placement_svg(result.geometry.residuals),
    }
    try:
        folder.mkdir(exist_ok=True)
        for name, drawing in drawings.items():
            with whole_file(folder / name) as file:
                file.write(drawing.encode())
    except OSError as cause:
        found = f"Drawings cannot be written to {folder} ({cause.strerror})."
        raise RigCalibrationError(
            found, hint="a folder that is yours; the calibration itself is written."
        ) from cause
    return [folder / name for name in drawings]


def throughput_svg(blocks: Sequence[float], dim: Sequence[int]) -> str:
    """The 64 blocks of a white card, lighter for more light; dim ones framed in red."""
    side_px = (HEIGHT_PX - _TOP_PX - 10) // BLOCKS
    left_px = (WIDTH_PX - BLOCKS * side_px) // 2
    brightest = max(*blocks, 1e-9)
    parts = [_text(WIDTH_PX / 2, 22, "Light of a white card by blocks, in parts of the mean")]
    for index, light in enumerate(blocks):
        row, column = divmod(index, BLOCKS)
        x, y = left_px + column * side_px, _TOP_PX + row * side_px
        grey = round(255 * min(max(light / brightest, 0.0), 1.0))
        frame = _COLOURS[1] if index in dim else "#ffffff"
        parts.append(
            f'<rect x="{x + 1}" y="{y + 1}" width="{side_px - 2}" height="{side_px - 2}" '
            f'fill="rgb({grey},{grey},{grey})" stroke="{frame}" stroke-width="2"/>'
        )
        ink = "#000000" if grey > 127 else "#ffffff"  # noqa: PLR2004 - half of 255
        parts.append(_text(x + side_px / 2, y + side_px / 2 + 4, f"{light:.2f}", ink=ink))
    return _drawing(parts)


def linearity_svg(residuals: Sequence[Sequence[float]]) -> str:
    """Distance from the straight line over the open share, one colour per arm."""
    opened = [step / STEPS for step in range(1, STEPS + 1)]
    names = ("arm +", "arm -")[: len(residuals)]
    curves = [
        (name, opened if arm == 0 else [1 - share for share in opened], values)
        for arm, (name, values) in enumerate(zip(names, residuals, strict=True))
    ]
    return _curves(
        "Distance from linearity, in parts of all-open", "share of the mirrors that is open", curves
    )


def placement_svg(residuals: Sequence[float]) -> str:
    """What the fit of the target leaves, over the place of the edge, one colour per direction."""
    places = [(edge + 1) / (EDGES + 1) - 0.5 for edge in range(EDGES)]
    curves = [
        (f"{degrees} deg", places, residuals[start : start + EDGES])
        for start, degrees in zip(range(0, len(residuals), EDGES), DIRECTIONS_DEG, strict=True)
    ]
    return _curves(
        "What the placement leaves, in shares of the light",
        "place of the edge, in sides of the field",
        curves,
    )


def _curves(title: str, axis: str, curves: Sequence[Curve]) -> str:
    reach = max((abs(y) for _, _, ys in curves for y in ys), default=0.0) or 1.0
    lowest = min(x for _, xs, _ in curves for x in xs)
    highest = max(x for _, xs, _ in curves for x in xs)
    parts = [_text(WIDTH_PX / 2, 22, title), _text(WIDTH_PX / 2, HEIGHT_PX - 12, axis)]
    parts += _axes(reach, lowest, highest)
    zero_px = _TOP_PX + _PLOT_HEIGHT_PX / 2
    for index, (name, xs, ys) in enumerate(curves):
        colour = _COLOURS[index % len(_COLOURS)]
        points = [
            (
                _LEFT_PX + _PLOT_WIDTH_PX * (x - lowest) / (highest - lowest),
                zero_px - _PLOT_HEIGHT_PX / 2 * y / reach,
            )
            for x, y in zip(xs, ys, strict=True)
        ]
        parts += _curve(points, colour)
        parts.append(
            _text(WIDTH_PX - _LEFT_PX + 6, _TOP_PX + 14 * (index + 1), name, ink=colour, anchor="start")
        )
    return _drawing(parts)


def _axes(reach: float, lowest: float, highest: float) -> list[str]:
    """Frame, zero line, and what stands at its ends."""
    right_px, bottom_px = WIDTH_PX - _LEFT_PX, _TOP_PX + _PLOT_HEIGHT_PX
    zero_px = _TOP_PX + _PLOT_HEIGHT_PX / 2
    frame = f'x="{_LEFT_PX}" y="{_TOP_PX}" width="{_PLOT_WIDTH_PX}" height="{_PLOT_HEIGHT_PX}"'
    return [
        f'<rect {frame} fill="none" stroke="#888888"/>',
        f'<path d="M{_LEFT_PX} {zero_px:g}h{_PLOT_WIDTH_PX}" stroke="#888888" stroke-dasharray="4 4"/>',
        _text(_LEFT_PX - 6, _TOP_PX + 10, f"{reach:.1e}", anchor="end"),
        _text(_LEFT_PX - 6, zero_px + 4, "0", anchor="end"),
        _text(_LEFT_PX - 6, bottom_px, f"-{reach:.1e}", anchor="end"),
        _text(_LEFT_PX, bottom_px + 16, f"{lowest:g}"),
        _text(right_px, bottom_px + 16, f"{highest:g}"),
    ]


def _curve(points: Iterable[tuple[float, float]], colour: str) -> list[str]:
    places = [(f"{x:.1f}", f"{y:.1f}") for x, y in points]
    line = " ".join(f"{x},{y}" for x, y in places)
    dots = [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in places]
    return [f'<polyline points="{line}" fill="none" stroke="{colour}"/>', *dots]


def _text(x: float, y: float, text: str, *, ink: str = "#222222", anchor: str = "middle") -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{ink}" {_STYLE}>{text}</text>'


def _drawing(parts: Iterable[str]) -> str:
    size = f'width="{WIDTH_PX}" height="{HEIGHT_PX}" viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}"'
    body = "\n".join(parts)
    paper = '<rect width="100%" height="100%" fill="#ffffff"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n{paper}\n{body}\n</svg>\n'
