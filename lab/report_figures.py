"""The drawings of the report as SVG for one page: no address, no script, colours for every eye.

Colours: Okabe and Ito, Color Universal Design, 2008; every line has a marker of its own too.
"""

import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLACK: Final = "#000000"
GREY: Final = "#6b6b6b"
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS: Final = ("o", "s", "^", "D", "v", "P")
# Keys are any: matplotlib's own type of them differs from version to version.
STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
}
SMALL_IN: Final = (4.2, 3.1)
WIDE_IN: Final = (5.6, 4.2)
GROUPS_IN: Final = (5.6, 2.6)
ROW_IN: Final = 0.22
PERCENT: Final = 100
PLAIN_TICKS: Final = 1000
"""Largest end of a logarithmic axis that is not written in powers of ten."""
PAPERS_ATTRIBUTES: Final = 40
_BASELINES: Final = ("random masks", "low-frequency Hadamard", "PCA components")


def drawn(name: str, size_in: tuple[float, float], draw: Callable[[Axes], None], alt: str) -> str:
    """One figure as an inline SVG element that fills its column.

    Args:
        name: Prefix of its ids, distinct on a page.
        size_in: Width and height, inch.
        draw: Draws into the axes.
        alt: What is told to who does not see it.
    """
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=size_in, layout="constrained")
        draw(figure.add_subplot())
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return inline(stream.getvalue(), name, alt)


def inline(svg: str, name: str, alt: str) -> str:
    """The ``<svg>`` element alone: no prologue, no metadata, no namespace addresses, ids with a prefix."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(
        r'<svg[^>]*?(viewBox="[^"]*")[^>]*>', rf'<svg \1 role="img" aria-label="{escape(alt)}">', svg, count=1
    )
    return svg.strip()


def over_d(document: Mapping[str, Any], metric: str) -> str:
    """Accuracy or AUC over the number of masks, with every baseline and the ceilings."""
    titles = {"accuracy": "Accuracy (%)", "auc": "Macro AUC"}

    def draw(axes: Axes) -> None:
        unit = PERCENT if metric == "accuracy" else 1
        noise_free = [row for row in document["table"] if row["light"] == "noise-free" and row["d"]]
        ours = [row for row in noise_free if "checkpoint" in row["system"]]
        banks = {f"learned masks{_after(row['note'])}": row["note"] for row in ours}
        for index, (label, note) in enumerate(banks.items()):
            rows = [row for row in ours if row["note"] == note]
            _banks(axes, rows, (metric, unit), index, (label, "-"))
        for index, system in enumerate(_BASELINES, start=len(banks)):
            rows = [row for row in noise_free if row["system"] == system]
            _banks(axes, rows, (metric, unit), index, (system, ":"))
        if metric == "accuracy" and len(document["attributes"]) == PAPERS_ATTRIBUTES:
            paper = document["paper"]
            x, y = [row["d"] for row in paper], [unit * row["accuracy"] for row in paper]
            axes.plot(x, y, "x--", color=GREY, label="paper (other split and light)")
        _ceilings(axes, document["table"], metric, unit)
        _trivial(axes, unit * document["trivial"][metric], metric)
        axes.set_xscale("log", base=2)
        ticks = sorted({row["d"] for row in noise_free if row in ours or row["system"] in _BASELINES})
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.set_xlabel("Masks d (log scale)")
        axes.set_ylabel(titles[metric])
        _legend(axes)

    alt = f"{titles[metric]} over the number of masks, with baselines"
    return drawn(f"over-d-{metric}", WIDE_IN, draw, alt)


def curve(found: Mapping[str, Any], trivial: float, limits: Sequence[Mapping[str, Any]]) -> str:
    """Accuracy over one axis, a line per d, a mark where a point is lost."""

    def draw(axes: Axes) -> None:
        for index, line in enumerate(found["lines"]):
            x = [point["x"] for point in line["points"]]
            y = [PERCENT * point["accuracy"] for point in line["points"]]
            axes.plot(x, y, color=_colour(index), marker=_marker(index), label=line["label"])
        for index, limit in enumerate(limits):
            if not limit["inside"]:
                axes.axvline(limit["limit"], color=_colour(index), linestyle=":", linewidth=1.2)
        _trivial(axes, PERCENT * trivial, "accuracy")
        if found["log"]:
            axes.set_xscale("log")
            if max(point["x"] for point in found["lines"][0]["points"]) <= PLAIN_TICKS:
                axes.xaxis.set_major_formatter("{x:g}")
        axes.set_title(found["title"], fontsize=10.5, loc="left")
        axes.set_xlabel(f"{found['title'].split(',')[0]} ({found['unit']})")
        axes.set_ylabel("Accuracy (%)")
        _legend(axes)

    return drawn(f"curve-{found['axis']}", SMALL_IN, draw, f"Accuracy over {found['title']}")


def reliability(found: Mapping[str, Any]) -> str:
    """Said against happened, beside the diagonal of a perfectly calibrated model."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 100], [0, 100], color=BLACK, linestyle="--", linewidth=1, label="perfect")
        kinds = {"shipped": "as shipped", "refitted": "refitted on tune"}
        for index, (kind, words) in enumerate(kinds.items()):
            bins = found[kind]["bins"]
            x = [PERCENT * each["mean_probability"] for each in bins]
            y = [PERCENT * each["positive_share"] for each in bins]
            text = f"{words}, ECE {found[kind]['ece']:.3f}"
            axes.plot(x, y, color=_colour(index), marker=_marker(index), label=text)
        shares = [(each["rows"], each["positive_share"]) for each in found["shipped"]["bins"]]
        rows = sum(count for count, _ in shares)
        if rows:
            prevalence = PERCENT * sum(count * share for count, share in shares) / rows
            axes.axhline(prevalence, color=GREY, linestyle="--", linewidth=1.2)
            axes.text(100, prevalence, "always the prevalence", color=GREY, ha="right", va="bottom", size=8.5)
        axes.set_xlabel("Probability of yes, as the model says (%)")
        axes.set_ylabel("Share of yes (%)")
        _legend(axes)

    return drawn("reliability", WIDE_IN, draw, "Reliability diagram")


def groups(found: Mapping[str, Any]) -> str:
    """Mean balanced accuracy of each group with its interval over people."""
    rows = [row for row in found["rows"] if not math.isnan(row["balanced_accuracy"])]

    def draw(axes: Axes) -> None:
        for place, row in enumerate(rows):
            low, high = PERCENT * row["low_95"], PERCENT * row["high_95"]
            axes.plot([low, high], [place, place], color=COLOURS[0], linewidth=2.2)
            axes.plot(PERCENT * row["balanced_accuracy"], place, "o", color=COLOURS[0])
        axes.axvline(50, color=GREY, linestyle="--", linewidth=1.2)
        axes.text(50, len(rows) - 0.45, " always the same answer", color=GREY, size=8.5, va="bottom")
        axes.set_yticks(range(len(rows)), [f"{row['group']} ({row['rows']})" for row in rows])
        axes.set_ylim(-0.6, len(rows) + 0.1)
        axes.set_xlabel("Mean balanced accuracy (%)")

    return drawn("groups", GROUPS_IN, draw, "Balanced accuracy of each group of people")


def per_attribute(rows: Sequence[Mapping[str, Any]]) -> str:
    """AUC of every attribute, best at the top."""
    ordered = sorted(rows, key=lambda row: float(row["auc"]))

    def draw(axes: Axes) -> None:
        places = range(len(ordered))
        axes.hlines(places, 0.5, [row["auc"] for row in ordered], color="#c9dcea", linewidth=3)
        axes.plot([row["auc"] for row in ordered], places, "o", color=COLOURS[0])
        axes.axvline(0.5, color=GREY, linestyle="--", linewidth=1.2)
        axes.set_yticks(places, [row["name"].replace("_", " ") for row in ordered])
        axes.set_ylim(-0.7, len(ordered) - 0.3)
        axes.set_xlabel("AUC (dashed: any constant answer, 0.5)")

    return drawn("per-attribute", (WIDE_IN[0], 1.2 + ROW_IN * len(ordered)), draw, "AUC of every attribute")


def _banks(
    axes: Axes, rows: Sequence[Mapping[str, Any]], shown: tuple[str, float], index: int, how: tuple[str, str]
) -> None:
    (metric, unit), (label, style) = shown, how
    if not rows:
        return
    ordered = sorted(rows, key=lambda row: int(row["d"]))
    x, y = [row["d"] for row in ordered], [unit * row[metric]["mean"] for row in ordered]
    ends = [row[metric]["interval_95"] for row in ordered]
    # A percentile interval need not hold the figure itself; a bar of negative length is no bar.
    below = [max(0.0, v - unit * low) for v, (low, _) in zip(y, ends, strict=True)]
    above = [max(0.0, unit * high - v) for v, (_, high) in zip(y, ends, strict=True)]
    axes.errorbar(
        x,
        y,
        (below, above),
        color=_colour(index),
        marker=_marker(index),
        linestyle=style,
        capsize=2,
        label=label,
    )


def _ceilings(axes: Axes, table: Sequence[Mapping[str, Any]], metric: str, unit: float) -> None:
    for row in table:
        if row["d"] is None:
            value = unit * row[metric]["mean"]
            axes.axhline(value, color=GREY, linestyle="-.", linewidth=1)
            axes.annotate(
                row["system"],
                (0.01, value),
                xycoords=("axes fraction", "data"),
                color=GREY,
                size=8,
                va="bottom",
            )


def _trivial(axes: Axes, value: float, metric: str) -> None:
    axes.axhline(value, color=BLACK, linestyle="--", linewidth=1.2)
    words = "always the commoner answer" if metric == "accuracy" else "any constant answer"
    axes.annotate(words, (0.99, value), xycoords=("axes fraction", "data"), ha="right", va="bottom", size=8.5)


def _legend(axes: Axes) -> None:
    axes.legend(fontsize=8.5, loc="best")


def _after(words: str) -> str:
    return f", {words}" if words else ""


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _marker(index: int) -> str:
    return MARKERS[index % len(MARKERS)]
