"""``audit.html``: the audit for who has to answer for the device. One file, no script, nobody's picture."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Final

from lab.audit import figures
from lab.audit.verdicts import BROKEN, HOLDS, UNDECIDED
from lab.audit.views import ANSWERS, FULL, LATENT, LITE, LOGITS, MEASUREMENT
from lab.report_markup import (
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

_OVERALL: Final = {
    HOLDS: ("Yes", "keeps every limit that was checked"),
    UNDECIDED: ("Not decided", "breaks no limit, but too little was tried to say that it keeps every one"),
    BROKEN: ("No", "does NOT keep every limit"),
}
_SHOWN: Final = {HOLDS: HOLDS, UNDECIDED: "NOT DECIDED", BROKEN: "BROKEN"}

Document = Mapping[str, Any]
Row = Mapping[str, Any]

WHAT: Final = {
    LITE: "presence and up to four answers: the default",
    FULL: "every answer that mode attr lets out of this bundle",
    LATENT: "what mode latent seals for one host. Image-equivalent: whoever opens it and holds a generator "
    "has a picture; nothing is promised but the seal",
    ANSWERS: "every answer of the model; no mode sends them, attacked for comparison",
    LOGITS: "scores before the decision; stay in the device, attacked for comparison",
    MEASUREMENT: "the numbers of the photodiodes; stay in the device. Image-equivalent: as good as a picture",
}


def page(document: Document) -> str:
    """The whole page."""
    parts = (
        _head(document),
        section("Does it keep its limits?", _verdicts(document)),
        section("Is a person found again?", _identification(document)),
        section("Every attacker", _attackers(document)),
        section("How much can a message say?", _channel(document)),
        section("Can a picture be made of it?", _reconstruction(document)),
        section("What it says without naming it", _withheld(document)),
        section("Waiting for more messages", _averaging(document)),
        section("Counts of a window", _aggregation(document)),
        section("Seen without any data", _static(document)),
        section("How this was made, and what it does not show", _origin(document)),
    )
    return whole_page(f"Privacy audit of {document['bundle']['name']}", parts)


def _head(document: Document) -> str:
    bundle = document["bundle"]
    cards = [_OVERALL[document["verdict"]]]
    cards += [
        (strength(each["value"]), f"{each['words']}; limit {each['limit']:g}")
        for each in document["verdicts"]
    ]
    items = "".join(f"<li><b>{escape(big)}</b><span>{escape(small)}</span></li>" for big, small in cards)
    name = f"{bundle['name']} {bundle['version']}, {bundle['d']} masks, mode {bundle['mode']}"
    return (
        f"<h1>Privacy audit: {escape(name)}</h1><p>Content <code>{escape(bundle['content_id'])}</code></p>"
        + paragraph(_sent(document))
        + f'<ul class="big">{items}</ul>'
        + note("We attacked our own device with everything below. No picture of a person is in this page.")
    )


def _sent(document: Document) -> str:
    """What leaves, in the words of somebody who has read nothing else."""
    views = {name: view for name, view in document["views"].items() if view["sent"]}
    told = [f"in mode {name} {_contents(view)}" for name, view in views.items()]
    listed = "; ".join(told) or "no mode sends anything about one person"
    return (
        f"What can leave a device with this bundle: {listed}. In mode agg only noisy counts of many visits "
        "leave. Which of these modes a device uses is set on the device itself and shown in its topic info."
    )


def _contents(view: Row) -> str:
    if view["image_equivalent"]:
        return "a sealed latent, which is as good as a picture for whoever can open it"
    names = ", ".join(name.replace("_", " ") for name in view["attributes"])
    return f"whether there is a face, and yes, no or nothing about {names}"


def _verdicts(document: Document) -> str:
    rows = (
        row(
            (
                text(each["words"], each["name"]),
                figure(number(each["value"])),
                figure(f"{each['limit']:g}"),
                text(_SHOWN[each["verdict"]], _decided_by(each)),
            ),
            "" if each["holds"] else "ours",
        )
        for each in document["verdicts"]
    )
    return table(("what|", "found", "at most", "|"), rows)


def _decided_by(each: Row) -> str:
    windows = each["decided_by"]
    return "" if windows is None else f"some {windows:,} windows would tell"


def _identification(document: Document) -> str:
    first = next(iter(document["views"].values()))["identification"]
    people = first["attackers"][first["finder"]]["people"]
    words = (
        f"Two pictures of each of {people} people who are in no other part of this audit: can the one be "
        "found by "
        f"the other? By guessing, {percent(1 / people, 2)} % of them. The attacker that did best on "
        "other people "
        "counts. Bars are 95 % intervals over people. 'True labels' is a device that never errs: what "
        "the answers "
        "themselves give away. 'Never sent' stays in the device and is attacked to show why."
    )
    drawings = [
        (figures.found_again(document), "Found again by one message, times chance"),
        (figures.same_person(document), "Telling whether two messages are about one person"),
    ]
    kinds = "".join(
        f"<li><b>{escape(name)}</b>: {escape(WHAT.get(name, 'another view'))}</li>"
        for name in document["views"]
    )
    return paragraph(words) + f"<ul>{kinds}</ul>" + plots(drawings, wide=True)


def _attackers(document: Document) -> str:
    rows = []
    for name, view in document["views"].items():
        seen = view["identification"]
        rows += [_attacker(name, who, each, seen) for who, each in seen["attackers"].items()]
        if view["true_labels"] is not None:
            seen = view["true_labels"]
            rows += [
                _attacker(f"{name}, true labels", who, each, seen) for who, each in seen["attackers"].items()
            ]
    if document["real_picture"] is not None:
        seen = {"finder": "recognition", "verifier": "recognition"}
        rows.append(_attacker(figures.REAL, "recognition", document["real_picture"], seen))
    heads = (
        "what is seen|", "attacker|", "rank-1 %", "times chance", "rank-10 %", "AUC", "EER %",
        "TAR at FAR 0.1 % (%)", "open set %",
    )  # fmt: skip
    small = (
        "Marked: the attacker that was best on the people on whom attackers are chosen. Open set: found "
        "first and "
        "above the threshold that lets 1 % of strangers through. Rank-10 by chance is ten times rank-1 "
        "by chance; "
        "EER by chance is 50 %, TAR 0.1 %. AUC: how often a message of the same person looks more alike than "
        "one of another; by chance 0.5."
    )
    return table(heads, rows) + note(small)


def _attacker(view: str, who: str, each: Row, seen: Row) -> str:
    low, high = each["rank1_over_chance_95"]
    cells = (
        text(view),
        text(who),
        figure(percent(each["rank1"], 2)),
        figure(number(each["rank1_over_chance"], 2), f"{number(low, 2)} to {number(high, 2)}"),
        figure(percent(each["rank10"])),
        figure(number(each["auc"])),
        figure(percent(each["eer"])),
        figure(percent(each["tar"], 2)),
        figure(percent(each["open_set"], 2)),
    )
    return row(cells, "ours" if who in {seen["finder"], seen["verifier"]} else "")


def _channel(document: Document) -> str:
    rows = []
    for name, view in document["views"].items():
        found = view["channel"]
        if found is None:
            continue
        measured = found.get("entropy_with_presence_bits", found.get("gaussian_bits"))
        alone = found.get("alone_share")
        rows.append(
            row(
                (
                    text(name),
                    figure(number(found["declared_bits"], 1)),
                    figure(number(measured, 2)),
                    figure("" if alone is None else percent(alone, 2)),
                    figure(percent(found["fano_rank1_at_most"])),
                )
            )
        )
    words = (
        "Declared: bits that the form has room for. Measured: entropy of a payload, whatever part of the "
        "scans shows "
        "a face; for measurements the most that Gaussian scenes of the same spread could tell through "
        "this noise. "
        "Alone: messages that one picture alone sent. The last column is a bound that no attacker can "
        "pass (Fano)."
    )
    heads = ("what is seen|", "declared bits", "measured bits", "alone %", "rank-1 at most %")
    return table(heads, rows) + note(words)


def _reconstruction(document: Document) -> str:
    rows = []
    for name, view in document["views"].items():
        found = view["reconstruction"]
        if found is None:
            continue
        for who, each in found["estimators"].items():
            mark = "trivial" if who in found["trivial"] else "ours" if who == found["best"] else ""
            cells = (
                text(name),
                text(who),
                figure(number(each["psnr_db"], 2)),
                figure(number(each["ssim"])),
                figure(number(each.get("identity_cosine"))),
            )
            rows.append(row(cells, mark))
    words = (
        "An attacker who knows masks, model and noise guesses the picture. In italics what needs no "
        "message, or "
        "takes somebody else's picture. Identity cosine: a recognition network on the guess and on the "
        "real picture; "
        "two real pictures of one person have about 0.57, of two people about 0."
    )
    heads = ("what is seen|", "guess|", "PSNR dB", "SSIM", "identity cosine")
    return table(heads, rows) + note(words)


def _withheld(document: Document) -> str:
    views = {
        figures.shown_name(name, view): view["withheld"]
        for name, view in document["views"].items()
        if view["withheld"] and name != LOGITS
    }
    if not views:
        return ""
    words = (
        "Attributes go together: who smiles shows cheekbones. This is how well each attribute that is "
        "not in the "
        "message can be guessed from it, by AUC."
    )
    return paragraph(words) + plots([(figures.withheld(views), "Guessed from what is seen")], wide=True)


def _averaging(document: Document) -> str:
    rows = document["averaging"]
    if not rows:
        return ""
    words = (
        "Noise makes an answer near its threshold change from scan to scan; the mean of many tells how "
        "near. This "
        "is an attack on a reader of every single scan of a scene that stands still."
    )
    return paragraph(words) + plots(
        [(figures.waiting(rows), "Mode attr-lite, mean of N messages")], wide=True
    )


def _aggregation(document: Document) -> str:
    found = document["aggregation"]
    if found is None:
        return paragraph("Not attacked: no counts were asked for.")
    counted = f"Counted: visits, {', '.join(found['attributes'])}; {found['mechanism']}."
    before = f"An attacker who has seen each of them once before: {_membership(found['membership'])}"
    inside = f"One who knows what each will answer in this very window: {_membership(found['insider'])}"
    rows = (
        row(
            (
                text(case["name"]),
                figure(number(case["at_least"])),
                figure(f"{case['claimed']:g}"),
                text("holds" if case["holds"] else "BROKEN"),
            )
        )
        for case in found["epsilon"]
    )
    return paragraph(f"{counted} {before} {inside}") + table(
        ("two windows that differ in one visit|", "epsilon, at least", "claimed", "|"), rows
    )


def _membership(member: Row) -> str:
    low, high = member["over_chance_99"]
    sure = f"99 %: {number(low)} to {number(high)}"
    return (
        f"in {member['windows']:,} windows of {member['visits']} visits, who of {member['people']} people "
        f"was there is named {number(member['over_chance'])} times as often as by chance ({sure})."
    )


def _static(document: Document) -> str:
    rows = (
        row((text(each["name"], each["found"]), text("holds" if each["holds"] else "BROKEN")))
        for each in document["static"]
    )
    return table(("what|", "|"), rows)


def _origin(document: Document) -> str:
    data = document["data"]
    people, pictures = data["people"], data["pictures"]
    learned = data["learned_from"]
    counted = ", ".join(f"{part} {people[part]} ({pictures[part]})" for part in people)
    path = (
        f"Sensor: {document['sensor']}. The people of 'report' went through the device's own path: simulated "
        "optics, shipping drivers, correction, TFLite, disclosure policy. Attackers learned on the same "
        "sensor without its bytes."
    )
    limits = (
        "Not shown: attackers better than these; people unlike those of the data; what a reader learns from "
        "when messages come, or from other sources about the place."
    )
    lines = (
        f"Data: {data['file']}{'' if learned is None else f'; attackers learned from {learned}'}.",
        f"People (pictures): {counted}. {data['dropped']} scans were dropped.",
        path,
        limits,
        f"Made on {document['date']} by {document['tool']}.",
    )
    return _list(lines)


def _list(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"
