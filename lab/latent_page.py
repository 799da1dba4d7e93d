"""``report.html`` of the latent path: one table per figure, no picture of anybody."""

from collections.abc import Mapping
from typing import Any

from lab.latent_evaluation import UNITS
from lab.report_markup import figure, note, number, paragraph, row, section, table, text, whole_page

Document = Mapping[str, Any]

_INTRODUCTION = (
    "Every figure stands beside predictors that see nothing of the scene (chance, majority, mean face, mean "
    "shape), the training face whose offset is nearest, and the teacher, which sees the whole colour "
    "picture through the same generator. Decoded pictures are made by a generator: plausible, not evidence. "
    "Colour is never measured."
)


def latent_page(document: Document) -> str:
    """The whole page, from the document that ``report.json`` holds."""
    metrics = [metric for metric in UNITS if any(each["metric"] == metric for each in document["rows"])]
    parts = [
        "<h1>The latent path</h1>",
        paragraph(_INTRODUCTION),
        *(section(f"{metric} ({UNITS[metric]})", _table(document, metric)) for metric in metrics),
        *_baselines(document.get("baselines")),
        section("Does the generator repeat training faces?", _memorisation(document["memorisation"])),
        section("How this was made", _origin(document)),
    ]
    return whole_page("lsi: the latent path", parts)


def _baselines(found: Mapping[str, Any] | None) -> list[str]:
    if found is None:
        return []
    from lab.baselines.page import baseline_sections  # noqa: PLC0415 - a page without baselines needs less

    return baseline_sections(found)


def _table(document: Document, metric: str) -> str:
    rows = [each for each in document["rows"] if each["metric"] == metric]
    names = list(dict.fromkeys(name for each in rows for name in each["beside"]))
    cells = [
        row(
            [
                figure(str(each["d"])),
                figure(number(each["value"])),
                text(_spread(each)),
                *(figure(number(each["beside"].get(name))) for name in names),
            ],
            "ours",
        )
        for each in rows
    ]
    return table(["d", "ours", "95 % over people", *names], cells)


def _spread(each: Mapping[str, Any]) -> str:
    low_high, seeds = each.get("interval"), each.get("seeds", 1)
    shown = "" if low_high is None else f"{number(low_high[0])} to {number(low_high[1])}"
    return f"{shown}; {seeds} seeds, spread {number(each['spread'])}" if seeds > 1 else shown


def _memorisation(found: Mapping[str, float] | None) -> str:
    if found is None:
        return note("Not measured: no recognition network was named (--recognition).")
    cells = [row([text(name), figure(number(value))]) for name, value in found.items()]
    told = (
        "Median cosine, and parts. Decoded faces and samples must not be nearer to training faces than real "
        "faces of other people are: 0.01 of them are nearer than 99 % of val."
    )
    return table(["|", "cosine"], cells) + note(told)


def _origin(document: Document) -> str:
    facts = ("command", "split", "rows_of_val", "rows_of_train", "light", "generator", "steps")
    cells = [row([text(name), text(str(document[name]))]) for name in facts]
    return table(["|", "|"], cells)
