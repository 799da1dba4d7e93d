"""The drawings of the audit's page; figures only, no picture of anybody."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from matplotlib.axes import Axes

from lab.report_figures import COLOURS, GREY, MARKERS, ROW_IN, WIDE_IN, drawn

Document = Mapping[str, Any]
CHANCE_AUC: Final = 0.5
REAL: Final = "the real picture"


def found_again(document: Document) -> str:
    """Rank-1 over chance of every view, with what true labels and the real picture give."""
    rows = _rows(document, "finder", "rank1_over_chance")

    def draw(axes: Axes) -> None:
        _dots(axes, rows)
        axes.axvline(1, color=GREY, linestyle="--", linewidth=1.2)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("Times chance (dashed: chance, no message at all)")

    return drawn("found-again", _size(rows), draw, "How often a person is found again, times chance")


def same_person(document: Document) -> str:
    """Verification AUC of every view."""
    rows = _rows(document, "verifier", "auc")

    def draw(axes: Axes) -> None:
        _dots(axes, rows)
        axes.axvline(CHANCE_AUC, color=GREY, linestyle="--", linewidth=1.2)
        axes.set_xlim(0.45, 1.01)
        axes.set_xlabel("AUC of same person or not (dashed: chance)")

    return drawn("same-person", _size(rows), draw, "Whether two messages are about one person")


def withheld(views: Mapping[str, Mapping[str, Any]]) -> str:
    """AUC of every attribute that is not sent, per view."""
    names = sorted(
        {name for view in views.values() for name in view},
        key=lambda name: max(view[name]["auc"] for view in views.values() if name in view),
    )

    def draw(axes: Axes) -> None:
        for index, (title, view) in enumerate(views.items()):
            places = [place for place, name in enumerate(names) if name in view]
            values = [view[names[place]]["auc"] for place in places]
            axes.plot(values, places, MARKERS[index], color=COLOURS[index], label=title)
        axes.axvline(CHANCE_AUC, color=GREY, linestyle="--", linewidth=1.2)
        axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
        axes.set_ylim(-0.7, len(names) - 0.3)
        axes.set_xlabel("AUC of an attribute that is not in the message (dashed: chance)")
        axes.legend(fontsize=8.5, loc="lower right")

    size = (WIDE_IN[0], 1.4 + ROW_IN * len(names))
    return drawn("withheld", size, draw, "What messages say about attributes that they do not name")


def waiting(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rank-1 over chance after N messages of one still scene."""

    def draw(axes: Axes) -> None:
        x, y = [row["messages"] for row in rows], [row["rank1_over_chance"] for row in rows]
        ends = [row["rank1_over_chance_95"] for row in rows]
        below = [max(0.0, value - low) for value, (low, _) in zip(y, ends, strict=True)]
        above = [max(0.0, high - value) for value, (_, high) in zip(y, ends, strict=True)]
        axes.errorbar(x, y, (below, above), color=COLOURS[0], marker=MARKERS[0], capsize=2)
        axes.axhline(1, color=GREY, linestyle="--", linewidth=1.2)
        axes.set_xscale("log", base=2)
        axes.set_xticks(x, [str(each) for each in x])
        axes.set_ylim(bottom=0)
        axes.set_xlabel("Messages about one still scene")
        axes.set_ylabel("Found again, times chance")

    return drawn("waiting", WIDE_IN, draw, "What is gained by averaging messages")


def over_light(rows: Sequence[Mapping[str, Any]], figure: str, title: str) -> str:
    """A figure of re-identification from measurements over light, a line per d."""

    def draw(axes: Axes) -> None:
        for index, d in enumerate(sorted({row["d"] for row in rows})):
            line = sorted((row for row in rows if row["d"] == d), key=lambda row: float(row["power_nw"]))
            x, y = [row["power_nw"] for row in line], [row[figure] for row in line]
            axes.plot(x, y, color=COLOURS[index], marker=MARKERS[index], label=f"d = {d}")
        axes.set_xscale("log")
        axes.set_xlabel("White light on both diodes (nW)")
        axes.set_ylabel(title)
        axes.legend(fontsize=8.5)

    return drawn(f"light-{figure}", WIDE_IN, draw, f"{title} over light")


def shown_name(name: str, view: Mapping[str, Any]) -> str:
    """A view as plots and tables call it."""
    if not view["sent"]:
        return f"{name} (never sent)"
    return f"{name} (image-equivalent)" if view["image_equivalent"] else name


def _rows(document: Document, who: str, figure: str) -> list[tuple[str, float, Sequence[float], int]]:
    """Name, value, interval and colour, the least telling first."""
    rows = []
    for name, view in document["views"].items():
        seen = view["identification"]
        best = seen["attackers"][seen[who]]
        colour = 0 if view["sent"] else 1
        rows.append((shown_name(name, view), best[figure], best[f"{figure}_95"], colour))
        true = view["true_labels"]
        if true is not None:
            best = true["attackers"][true[who]]
            rows.append((f"{name}, true labels", best[figure], best[f"{figure}_95"], 2))
    real = document["real_picture"]
    if real is not None:
        rows.append((REAL, real[figure], real[f"{figure}_95"], 3))
    return sorted(rows, key=lambda row: row[1], reverse=True)


def _dots(axes: Axes, rows: Sequence[tuple[str, float, Sequence[float], int]]) -> None:
    for place, (_, value, (low, high), colour) in enumerate(rows):
        axes.plot([low, high], [place, place], color=COLOURS[colour], linewidth=2.2)
        axes.plot(value, place, MARKERS[colour], color=COLOURS[colour])
    axes.set_yticks(range(len(rows)), [row[0] for row in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)


def _size(rows: Sequence[object]) -> tuple[float, float]:
    return WIDE_IN[0], 1.0 + 0.3 * len(rows)
