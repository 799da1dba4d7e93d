"""``report.html`` from the document of figures: one file, no script, nothing fetched, fit for a phone."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from lab import report_figures as figures
from lab.report_gallery import MOST
from lab.report_markup import (
    PERCENT,
    figure,
    note,
    number,
    paragraph,
    percent,
    plots,
    row,
    section,
    strength,
    table,
    text,
    whole_page,
)

Document = Mapping[str, Any]
Row = Mapping[str, Any]


def page(document: Document, masks: Sequence[str]) -> str:
    """The whole page. ``masks`` are ``<img>`` elements of the main checkpoint."""
    parts = (
        _head(document),
        section("What beats what", _table(document)),
        section("Over the number of masks", _over_d(document)),
        section("Operating envelope", _envelope(document)),
        section("Light", _light(document)),
        section("What goes wrong on a rig", _rig(document)),
        section("Is there a face?", _presence(document)),
        section("Does a probability mean what it says?", _reliability(document)),
        section("Groups of people", _groups(document)),
        section("Attribute by attribute", _attributes(document)),
        section("The masks", _gallery(document, masks)),
        section("Long runs", _long_runs(document)),
        section("How this was made", _origin(document)),
    )
    return whole_page("lsi report", parts)


def _head(document: Document) -> str:
    best, trivial, split = _main_row(document), document["trivial"], document["split"]
    accuracy, auc = best["accuracy"], best["auc"]
    low, high = (percent(end) for end in accuracy["interval_95"])
    low_auc, high_auc = (number(end) for end in auc["interval_95"])
    cards = (
        (f"{percent(accuracy['mean'])} %", f"accuracy, 95 % interval {low} to {high}"),
        (f"{percent(trivial['accuracy'])} %", "accuracy of always giving the commoner answer"),
        (number(auc["mean"]), f"macro AUC, 95 % interval {low_auc} to {high_auc}; chance is 0.5"),
        (f"{best['d']}", f"masks, two arms, {len(document['attributes'])} attributes"),
    )
    items = "".join(f"<li><b>{escape(big)}</b><span>{escape(words)}</span></li>" for big, words in cards)
    seeds = len(best["seeds"])
    counted = (
        f"Counted on the {split['part']} half: {split['rows']} pictures of {split['people']} people, on "
        "whom nothing was trained or tuned. Linear light, noise-free, "
        f"{f'mean of {seeds} seeds' if seeds > 1 else 'one seed'}. No picture of a person is in this page."
    )
    return f'<h1>What a camera without pictures can tell</h1><ul class="big">{items}</ul>{note(counted)}'


def _table(document: Document) -> str:
    heads = (
        "system|",
        "d",
        "arms|",
        "light|",
        "accuracy %",
        "macro AUC",
        "mAP",
        "balanced accuracy %",
        "seeds",
    )
    rows = [_trivial_row(document["trivial"]), *map(_table_row, document["table"])]
    rows += [_paper_row(each) for each in document["paper"]]
    small_print = (
        "Under a figure: 95 % interval, a bootstrap over people. ±: standard deviation over seeds. Slope "
        "and offset of every score are fitted on val tune; accuracy is taken at probability 1/2, balanced "
        "accuracy at the threshold that was best on val tune. The mAP of a constant answer is the "
        "prevalence."
    )
    return table(heads, rows) + note(small_print) + note(document["baseline_words"])


def _paper_row(each: Row) -> str:
    head = (text("paper", each["note"]), figure(f"{each['d']}"), text("1"), text("gamma-coded"))
    return row((*head, figure(percent(each["accuracy"], 2)), *map(figure, ("", "", "", ""))))


def _trivial_row(trivial: Row) -> str:
    cells = (
        text("always the commoner answer", f"of {trivial['from']}"),
        *map(figure, ("",)),
        *map(text, ("", "")),
        figure(percent(trivial["accuracy"], 2)),
        figure(number(trivial["auc"])),
        figure(number(trivial["map"])),
        figure(percent(trivial["balanced_accuracy"])),
        figure(""),
    )
    return row(cells, "trivial")


def _table_row(each: Row) -> str:
    cells = (
        text(each["system"], each["note"]),
        figure("" if each["d"] is None else f"{each['d']}"),
        text(each["arms"]),
        text(each["light"]),
        _measured(each["accuracy"], PERCENT, 2),
        _measured(each["auc"], 1, 3),
        _measured(each["map"], 1, 3),
        _measured(each["balanced_accuracy"], PERCENT, 1),
        figure(", ".join(map(str, each["seeds"]))),
    )
    return row(cells, "ours" if "checkpoint" in each["system"] else "")


def _measured(found: Row, unit: float, digits: int) -> str:
    spread = "" if found["spread"] is None else f" ± {unit * found['spread']:.{digits}f}"
    low, high = (number(unit * end, digits) for end in found["interval_95"])
    return figure(number(unit * found["mean"], digits) + spread, f"{low} to {high}")


def _over_d(document: Document) -> str:
    caption = (
        f"{_where(document)}, two arms, linear light, noise-free. Bars: 95 % over people. Dotted: masks that "
        "nobody trained. Grey: what sees the whole picture, and, where the attributes are the same 40, the "
        "paper on its own split and light."
    )
    return plots([(figures.over_d(document, metric), caption) for metric in ("accuracy", "auc")], wide=True)


def _envelope(document: Document) -> str:
    found = document["envelope"]["limits"]
    heads = ("what|", *(line["label"] for line in document["curves"][0]["lines"]))
    rows = [
        row(
            (
                text(curve["title"], curve["unit"]),
                *(figure(_limit(each, curve)) for each in found[curve["axis"]]),
            )
        )
        for curve in document["curves"]
    ]
    words = (
        "How far one thing may go wrong, all else in order, before accuracy falls by one point. Read off "
        "the curves below and interpolated between the strengths that were tried. A star: the strongest "
        "that was tried did not cost a point."
    )
    small_print = (
        "One pixel of 64 is 1/64 of the field. Two things at once cost more than either alone: keep half "
        f"of each limit in hand. {_where(document)}, two arms; light of the board, "
        f"{document['main']['light']}."
    )
    return paragraph(words) + table(heads, rows) + note(small_print)


def _limit(each: Row, curve: Row) -> str:
    return f"{'≥' if curve['log'] else '≤'} {strength(each['limit'])}{'*' if each['inside'] else ''}"


def _light(document: Document) -> str:
    words = (
        "Power is that of a white scene on both diodes together; light that would saturate an arm is "
        "dimmed to where it does not. The ideal detector has photon noise alone and counts photons of "
        "both arms. Dotted: where a point of accuracy is lost."
    )
    return paragraph(words) + plots(_curves(document, "", is_light=True))


def _rig(document: Document) -> str:
    words = (
        "Each scene is disturbed by the full strength, in a direction of its own; nothing was fitted "
        "again. Dotted: where a point of accuracy is lost."
    )
    light = f", {document['main']['light']}"
    return paragraph(words) + plots(_curves(document, light, is_light=False))


def _curves(document: Document, light: str, *, is_light: bool) -> list[tuple[str, str]]:
    limits, trivial = document["envelope"]["limits"], document["trivial"]["accuracy"]
    shown = [curve for curve in document["curves"] if curve["log"] == is_light]
    return [
        (
            figures.curve(each, trivial, limits[each["axis"]]),
            f"{_where(document)}, two arms{light}. {_seen(each)}",
        )
        for each in shown
    ]


def _seen(curve: Row) -> str:
    """What becomes of presence at the bad end of the axis, for the first line."""
    line = curve["lines"][0]
    worst = line["points"][0 if curve["log"] else -1]
    return (
        f"At {strength(worst['x'])} {curve['unit']} presence ({line['label']}) still sees "
        f"{percent(worst['faces_seen'])} % of the faces."
    )


def _presence(document: Document) -> str:
    found = document["presence"]
    heads = ("against|", "AUC", "taken for a face %", "the same at 99 % recall %", "scenes")
    rows = [
        row(
            (
                text(each["against"], "" if each["counts"] else "not in the headline"),
                figure(number(each["auc"], 4)),
                figure(percent(each["false_accepts"])),
                figure(percent(each["false_alarms_at_99"])),
                figure(f"{each['rows']}"),
            )
        )
        for each in found["kinds"]
    ]
    worst = found["worst"]
    words = (
        f"Worst kind: {worst['against']}, AUC {number(worst['auc'], 4)}, where chance is 0.5. "
        f"{percent(found['false_rejects'])} % of the faces that should count as present are turned away."
    )
    return paragraph(words) + table(heads, rows) + note(_of_main(document))


def _reliability(document: Document) -> str:
    found = document["reliability"]
    if not found["shipped"]["bins"]:
        return ""
    caption = (
        f"{_of_main(document)} Attributes with at least 2 % positives, bins of equal mass. ECE is the mean "
        "over attributes; the points are all attributes together."
    )
    return plots([(figures.reliability(found), caption)], wide=True)


def _groups(document: Document) -> str:
    found = document["groups"]
    if found is None or found["worst"] is None:
        return ""
    worst = found["worst"]
    words = (
        f"Worst group: {worst['group']}, mean balanced accuracy {percent(worst['balanced_accuracy'])} % "
        f"over the {len(found['shared'])} attributes of which every group has enough positives and "
        "negatives."
    )
    caption = (
        f"{_of_main(document)} Bars: 95 % over people; in brackets: pictures. Groups are labels of the "
        "data, as annotators saw them."
    )
    heads = (
        "attribute|",
        "worst group|",
        "its balanced accuracy %",
        "gap of recall, points",
        "of false alarms",
    )
    rows = [
        row(
            (
                text(each["name"]),
                text(each["worst_group"]),
                *(figure(percent(each[name])) for name in ("balanced_accuracy", *_GAPS)),
            )
        )
        for each in found["attributes"]
        if each["worst_group"]
    ]
    return paragraph(words) + plots([(figures.groups(found), caption)], wide=True) + table(heads, rows)


_GAPS = ("true_positive_gap", "false_positive_gap")


def _attributes(document: Document) -> str:
    heads = (
        "attribute|",
        "AUC",
        "AP",
        "prevalence",
        "accuracy %",
        "commoner answer %",
        "balanced accuracy %",
        "ECE",
        "Brier skill",
    )
    rows = [
        row(
            (
                text(each["name"]),
                *(figure(number(each[name])) for name in ("auc", "average_precision", "prevalence")),
                *(figure(percent(each[name])) for name in ("accuracy", "majority", "balanced_accuracy")),
                *(figure(number(each[name])) for name in ("ece", "brier_skill")),
            )
        )
        for each in document["per_attribute"]
    ]
    words = "Balanced accuracy, ECE and Brier skill are of the checkpoint's own thresholds and logits."
    plot = (figures.per_attribute(document["per_attribute"]), _of_main(document))
    return plots([plot], wide=True) + table(heads, rows) + note(words)


def _gallery(document: Document, masks: Sequence[str]) -> str:
    main = document["main"]
    more = f" The first {MOST} of {main['d']}." if main["d"] > MOST else ""
    words = (
        f"White mirrors send their light to arm +, black ones to arm -. {percent(main['open_fraction'])} % "
        f"are white.{more}"
    )
    return f'{paragraph(words)}<div class="masks">{"".join(masks)}</div>{note(main["name"])}'


def _long_runs(document: Document) -> str:
    found = document["long_runs"]
    rows = [
        row(
            (
                text(each["name"]),
                figure(f"{each['value']:.5g}"),
                *map(
                    text, (each["unit"], each["goal"] or "-", _HOLDS[each["holds"]], _beside(each["beside"]))
                ),
            )
        )
        for each in found
    ]
    return table(("figure|", "value", "unit|", "goal|", "|", "beside|"), rows) if rows else ""


_HOLDS = {None: "", True: "holds", False: "missed"}


def _beside(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.5g}" for name, value in values.items())


def _origin(document: Document) -> str:
    left_out = document["left_out"]
    lacking = note(f"Without figures, as one answer is missing: {', '.join(left_out)}.") if left_out else ""
    command = f"<p><code>{escape(document['command'])}</code></p>"
    dated = paragraph(f"{document['date']}. All numbers are in report.json.")
    return f"{command}{dated}{lacking}<ul>{''.join(_items(document['models']))}</ul>"


def _items(models: Iterable[Row]) -> Iterable[str]:
    for each in models:
        trained = f", {each['trained']}" if each["trained"] else ""
        words = (
            f"{each['name']}: d = {each['d']}{trained}, seed {each['seed']}, "
            f"read-out of {each['parameters']} parameters, masks {each['masks']}, light {each['light']}"
        )
        yield f"<li>{escape(words)}</li>"


def _where(document: Document) -> str:
    split = document["split"]
    return f"{split['part']}, {split['rows']} pictures of {split['people']} people"


def _of_main(document: Document) -> str:
    main = document["main"]
    return f"{_where(document)}, {main['name']}, d = {main['d']}, two arms, {main['light']}."


def _main_row(document: Document) -> Row:
    main = document["main"]
    found: Row = next(
        each for each in document["table"] if (each["d"], each["note"]) == (main["d"], main["trained"])
    )
    return found
