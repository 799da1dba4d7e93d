"""The part of ``report.html`` about baselines: a table per figure, and where learned masks do not win."""

from collections.abc import Mapping, Sequence
from typing import Any

from lab.baselines.comparison import COMPARED, HEADS, LEARNED, LESS_IS_BETTER
from lab.latent_evaluation import UNITS
from lab.report_markup import figure, note, number, paragraph, row, section, table, text

Found = Mapping[str, Any]

_HOW = (
    "Every method measures the same scenes with the same number of masks, the same sensor, the same light. "
    "No method measures colour, so all pictures are compared in grey. Attributes and landmarks are read from "
    "each method's pictures by one kind of reader, fitted anew on its own pictures of the training scenes; "
    "banks with an encoder are read by their own heads as well."
)


def baseline_sections(found: Found) -> list[str]:
    """The sections, from the field ``baselines`` of the document."""
    rows = found["rows"]
    metrics = [metric for metric in COMPARED if any(each["metric"] == metric for each in rows)]
    words = f"{found['budget']}, from {found['learned_from']} training scenes. {found['adaptations']}"
    return [
        section("Baselines", paragraph(_HOW) + note(words)),
        *(section(f"Baselines: {metric} ({UNITS[metric]})", _table(rows, metric)) for metric in metrics),
        section("Where learned masks do not beat a baseline", _losses(found)),
    ]


def baseline_lines(found: Found) -> list[str]:
    """The same for a terminal, shorter."""
    lines = [f"{'figure':20} {'d':>4} {'value':>8}  method, read from"]
    lines += [
        f"{each['metric']:20} {each['d']:4} {each['value']:8.4g}  {each['method']}, {each['reading']}"
        for each in sorted(found["rows"], key=lambda each: (COMPARED.index(each["metric"]), each["d"]))
        if each["value"] is not None
    ]
    lost = [f"{each['metric']} at d = {each['d']} ({each['baseline']})" for each in found["losses"]]
    told = "; ".join(lost) or "nowhere"
    return [*lines, f"learned masks do not beat a baseline in {len(lost)} of {found['pairs']} pairs: {told}"]


def _table(rows: Sequence[Found], metric: str) -> str:
    some = [each for each in rows if each["metric"] == metric]
    all_d = sorted({each["d"] for each in some if each["d"]})
    values = {(each["method"], each["reading"], each["d"]): each["value"] for each in some}
    methods = list(dict.fromkeys((each["method"], each["reading"]) for each in some))
    cells = [
        row(
            [text(method, reading), *(figure(_number(values, method, reading, d)) for d in all_d)],
            "ours" if method == LEARNED else "",
        )
        for method, reading in methods
    ]
    return table(["method|", *(f"d = {d}" for d in all_d)], cells)


def _number(values: Mapping[tuple[str, str, int], float | None], method: str, reading: str, d: int) -> str:
    """What needs no measurement stands at every d."""
    return number(values.get((method, reading, d), values.get((method, reading, 0))))


def _losses(found: Found) -> str:
    lost, pairs = found["losses"], found["pairs"]
    if not lost:
        return note(f"Nowhere: learned masks win all {pairs} comparisons.")
    cells = [
        row(
            [
                text(each["metric"]),
                figure(str(each["d"])),
                text(each["reading"]),
                figure(number(each["learned_masks"])),
                text(each["baseline"]),
                figure(number(each["its_value"])),
            ]
        )
        for each in lost
    ]
    heads = ["figure|", "d", "read from|", LEARNED, "baseline|", "its figure"]
    less = ", ".join(sorted(LESS_IS_BETTER))
    told = (
        f"{len(lost)} of {pairs} comparisons. Less is better for {less}; '{HEADS}' are those of the encoder."
    )
    return table(heads, cells) + note(told)
