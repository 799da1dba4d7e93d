"""Score over masks, from the long runs, and the curves of ``benchmarks.attribute_curves`` as one drawing.

python -m benchmarks.attribute_curves_plot -o docs/explanation/attribute-curves.svg
"""

import argparse
import io
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.report_figures import COLOURS, GREY, MARKERS, STYLE, inline

RESULTS: Final = Path(__file__).parent / "results"
WIDEST: Final = 512
FIELD_PX: Final = 64
CURVES: Final[Mapping[str, str]] = {
    "d": "masks (long runs)",
    "faces": "faces learned from",
    "passes": "passes over the faces",
    "mask_px": "pixels across a mask",
    "width": "units of a hidden layer",
}
LINES: Final[Mapping[str, str]] = {"train_auc": "faces of the training", "report_auc": "people never seen"}
PANEL_IN: Final = (2.9, 3.2)
LEAST_IN: Final = 5.6
ALT: Final = "Macro AUC over faces, passes, mask pixels and width, on faces of the training and on others"

Row = Mapping[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attribute_curves_plot", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="SVG")
    parser.add_argument("--curves", type=Path, default=RESULTS / "attribute_curves.json", metavar="JSON")
    parser.add_argument("--runs", type=Path, default=RESULTS / "attribute_runs.json", metavar="JSON")
    parsed = parser.parse_args(arguments)
    runs = json.loads(parsed.runs.read_text("utf-8"))
    rows = json.loads(parsed.curves.read_text("utf-8"))["rows"] if parsed.curves.exists() else []
    svg = drawing(rows, runs)
    parsed.output.write_text(
        svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1) + "\n", "utf-8"
    )
    return 0


def points(rows: Sequence[Row], curve: str, y: str) -> list[tuple[float, float]]:
    """(x, y) of one curve in ascending x, the base included where it belongs."""
    own = [(float(row["x"]), float(row[y])) for row in rows if row["curve"] == curve]
    if curve == "d":
        return sorted(own)
    base = next(row for row in rows if row["curve"] == "base")
    at = {"faces": base["faces"], "passes": base["passes"], "mask_px": FIELD_PX, "width": WIDEST}[curve]
    return sorted([*own, (float(at), float(base[y]))])


def drawing(curves: Sequence[Row], runs: Mapping[str, Any]) -> str:
    """One panel for each curve that was measured, as an inline SVG element."""
    rows = [*curves, *_over_d(runs["rows"])]
    there = [curve for curve in CURVES if any(row["curve"] == curve for row in rows)]
    with mpl.rc_context({**STYLE, "svg.hashsalt": "attribute-curves"}):
        width_in = max(LEAST_IN, PANEL_IN[0] * len(there))
        figure = Figure(figsize=(width_in, PANEL_IN[1]), layout="constrained")
        panels = figure.subplots(1, len(there), sharey=True, squeeze=False)[0]
        for curve, axes in zip(there, panels, strict=True):
            _draw(axes, rows, curve)
            axes.axhline(runs["ceiling"]["macro_auc"], color=GREY, linestyle=":", label="teacher")
        panels[0].set_ylabel("macro AUC")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return inline(stream.getvalue(), "attribute-curves", ALT)


def _over_d(rows: Sequence[Row]) -> list[Row]:
    """Rows of the long runs in the form of a curve, where the faces of the training were asked too."""
    return [
        {"curve": "d", "x": row["d"], "report_auc": row["auc"], "train_auc": row["train_auc"]}
        for row in rows
        if "train_auc" in row
    ]


def _draw(axes: Axes, rows: Sequence[Row], curve: str) -> None:
    for (y, words), colour, marker in zip(LINES.items(), COLOURS, MARKERS, strict=False):
        x, height = zip(*points(rows, curve, y), strict=True)
        axes.plot(x, height, color=colour, marker=marker, label=words)
    ticks = [x for x, _ in points(rows, curve, "report_auc")]
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [f"{x:g}" for x in ticks])
    axes.minorticks_off()
    axes.set_xlabel(CURVES[curve])


if __name__ == "__main__":
    sys.exit(main())
