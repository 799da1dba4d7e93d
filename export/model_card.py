"""``MODEL_CARD.md`` of a bundle, written from the record of its training."""

from collections.abc import Mapping, Sequence
from typing import Any

from export.parity import Parity
from training.attributes.checkpoint import Checkpoint

Row = Mapping[str, Any]


def model_card(checkpoint: Checkpoint, name: str, version: str, measured: Parity, *, is_float: bool) -> str:
    """The card as Markdown. Figures come from the checkpoint's record; where it has none, it says so."""
    record = checkpoint.record
    sections = [
        _what_it_is(checkpoint, name, version),
        _FIGURES_HEAD + _figures(record.get("figures"), record),
        _exported(measured, is_float=is_float),
        _LIMITS,
        _made(record),
        _TERMS,
    ]
    return "\n".join(sections)


def _what_it_is(checkpoint: Checkpoint, name: str, version: str) -> str:
    d, height, width = checkpoint.patterns.shape
    parameters = checkpoint.read_out.parameters
    answers = ", ".join(checkpoint.attributes.names)
    return f"""# {name} {version}

{d} learned binary masks of {height} x {width} and a read-out of {parameters:,} parameters.
Input: {d} ratios of two photodiode arms, `(J+ - J-) / (J+ + J-)` after dark subtraction.
Output: yes or no for {answers}, and whether a face is in its place at all (presence).
{_abstention(checkpoint)}The model has no other output: no latent, no picture, no other attribute.
"""


def _abstention(checkpoint: Checkpoint) -> str:
    return "Answers too close to call are left open (`null`).\n" if checkpoint.attributes.abstain else ""


_FIGURES_HEAD = """
## Figures

"""


def _figures(figures: Row | None, record: Row) -> str:
    if figures is None:
        return "None were recorded with this checkpoint.\n"
    parts = [
        _attributes(figures, record),
        _probabilities(figures),
        _presence(figures),
        _groups(figures.get("groups")),
    ]
    return "\n".join(part for part in parts if part)


def _attributes(figures: Row, record: Row) -> str:
    lines = [
        f"Measured in float on the *report* half of val ({figures['faces']} faces of people that",
        "neither training nor thresholds saw), two arms, d as above,",
        f"{_light(record)}.",
        "Chance is an AUC and a balanced accuracy of 0.5, and an average precision (AP) of the prevalence.",
        "*Majority* is the accuracy of always giving the commoner answer.",
        "",
        *_table_head(
            "attribute",
            "AUC",
            "AP",
            "prevalence",
            "balanced accuracy",
            "accuracy",
            "majority",
            "positives",
        ),
    ]
    lines += [
        _line(
            row["name"],
            _number(row, "auc", 4),
            _number(row, "average_precision", 3),
            _number(row, "prevalence", 3),
            _number(row, "balanced_accuracy", 3),
            _number(row, "accuracy", 3),
            _number(row, "majority", 3),
            row["positives"],
        )
        for row in figures["attributes"]
    ]
    lines += ["", *_macro(figures), f"Thresholds: {record.get('thresholds', 'not recorded')}."]
    return "\n".join(lines) + "\n"


def _light(record: Row) -> str:
    photons = record.get("photons")
    if photons is not None:
        return f"ideal detector, {photons:g} photons of a white scene on both arms"
    return f"{record['sensor']['power_nw']:g} nW on the board's sensor model"


def _macro(figures: Row) -> list[str]:
    """Means with their intervals; records of older checkpoints have the AUC alone."""
    noise_free = _number(figures, "macro_auc_noise_free", 4)
    macro = figures.get("macro")
    if macro is None:
        return [f"Macro AUC {_number(figures, 'macro_auc', 4)}; without sensor noise {noise_free}.", ""]
    beside = {
        "average precision": ("average_precision", f"prevalence {_number(macro, 'prevalence', 3)}"),
        "balanced accuracy": ("balanced_accuracy", "chance 0.5"),
        "accuracy": ("accuracy", f"majority {_number(macro, 'majority', 3)}"),
    }
    lines = [
        "Means over the attributes, with 95 % intervals (bootstrap over people):",
        "",
        *_table_head("mean", "value", "95 %", "beside"),
        _line("AUC", *_estimate(macro["auc"], 4), f"chance 0.5; without sensor noise {noise_free}"),
    ]
    lines += [_line(name, *_estimate(macro[key], 3), text) for name, (key, text) in beside.items()]
    return [*lines, ""]


def _estimate(estimate: Row, digits: int) -> tuple[str, str]:
    low, high = (_number(estimate, key, digits) for key in ("low_95", "high_95"))
    return _number(estimate, "value", digits), f"{low} to {high}"


def _probabilities(figures: Row) -> str:
    """Calibration and abstention; nothing for records of older checkpoints."""
    rows = [row for row in figures["attributes"] if "ece" in row]
    if not rows:
        return ""
    lines = [
        "### Calibration and open answers",
        "",
        "Inside the device a logit stands for a probability; it never leaves. *ECE* is the mean gap between",
        "that probability and what was found, in 15 bins of equal mass; *floor* is what perfect",
        "probabilities would show on as many faces. *Brier skill* compares with always saying how common the",
        "attribute was on *tune* (0 no better, 1 perfect). *Answered* is the part of faces with an answer.",
        "",
        *_table_head("attribute", "ECE", "floor", "Brier skill", "answered", "accuracy of answers", "of all"),
    ]
    lines += [
        _line(
            row["name"],
            _number(row, "ece", 3),
            _number(row, "ece_floor", 3),
            _number(row, "brier_skill", 3),
            _percent(row, "coverage"),
            _number(row, "selective_accuracy", 3),
            _number(row, "accuracy", 3),
        )
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _presence(figures: Row) -> str:
    lines = [
        "### Presence",
        "",
        f"{_percent(figures, 'presence_false_rejects')} of report faces turned away{_in_place(figures)}.",
        *_worst(figures.get("presence_worst")),
        "",
        *_table_head("faces against", "AUC", "taken for a face", "at 99 % recall", "scenes"),
    ]
    lines += [
        _line(
            row["against"] + ("" if row.get("counts", True) else " (not in the headline)"),
            _number(row, "auc", 4),
            _percent(row, "false_accepts"),
            _percent(row, "false_alarms_at_99"),
            row["rows"],
        )
        for row in figures["presence"]
    ]
    return "\n".join(lines) + "\n"


def _in_place(figures: Row) -> str:
    if "presence_false_rejects_in_place" not in figures:
        return ""
    return (
        " when shifted by up to 4 of 64 mirrors, turned by up to 10 degrees and scaled by up to 10 %; "
        f"{_percent(figures, 'presence_false_rejects_in_place')} exactly in their place"
    )


def _worst(worst: Row | None) -> list[str]:
    if worst is None:
        return []
    alarms = _percent(worst, "false_alarms_at_99")
    kind = f"Worst kind: {worst['against']}, AUC {_number(worst, 'auc', 4)};"
    return [f"{kind} {alarms} taken for a face when 99 % of faces pass."]


def _groups(groups: Row | None) -> str:
    if groups is None:
        return ""
    worst = groups["worst"] or "not known"
    shared = ", ".join(groups["shared"]) or "none"
    lines = [
        "### Groups of people",
        "",
        f"By the labels {' and '.join(groups['by'])} of the data, as annotators saw them.",
        "Skin tone is not labelled.",
        f"Mean balanced accuracy over what has enough faces in every group ({shared}); worst group: {worst}.",
        "",
        *_table_head("group", "faces", "balanced accuracy", "95 %"),
    ]
    lines += [
        _line(
            row["group"],
            row["rows"],
            _number(row, "balanced_accuracy", 3),
            f"{_number(row, 'low_95', 3)} to {_number(row, 'high_95', 3)}",
        )
        for row in groups["rows"]
    ]
    lines += [
        "",
        "Gaps are largest minus smallest rate over the groups with enough faces (TPR: yes said where it is",
        "yes, FPR: where it is no):",
    ]
    lines += [
        "",
        *_table_head("attribute", "worst group", "balanced accuracy", "TPR gap", "FPR gap", "groups"),
    ]
    lines += [
        _line(
            row["name"],
            row["worst_group"] or "-",
            _number(row, "balanced_accuracy", 3),
            _number(row, "true_positive_gap", 3),
            _number(row, "false_positive_gap", 3),
            row["groups"],
        )
        for row in groups["attributes"]
    ]
    return "\n".join(lines) + "\n"


def _table_head(*columns: str) -> tuple[str, str]:
    return _line(*columns), _line(*["---"] * len(columns))


def _line(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _number(row: Row, key: str, digits: int) -> str:
    """The figure, or a dash where it does not exist or the record is older than it."""
    value = row.get(key)
    return "-" if value is None else f"{value:.{digits}f}"


def _percent(row: Row, key: str) -> str:
    value = row.get(key)
    return "-" if value is None else f"{100 * value:.1f} %"


def _exported(measured: Parity, *, is_float: bool) -> str:
    form = (
        "float32"
        if is_float
        else "first and last layer float32, between them static int8: true ranges, weights per row"
    )
    return f"""
## Export

{form}.
Against the float model, on {measured.rows} random inputs within the calibrated range:
largest logit error {measured.largest_error:.3f},
mean {measured.mean_error:.4f}, {100 * measured.sign_agreement:.1f} % of answers equal.
`lsi evaluate` gives the figures of this very file.
"""


_LIMITS = """
## Limits

- Faces must be upright, frontal and in their place: eyes level, eye distance a quarter of the
  field's width. A shift of 2 of 64 mirrors already costs several points; a large one turns presence off,
  and so should a face that is turned, hidden, much too near or much too far.
- Trained on celebrity portraits that were aligned and cleaned. Expect less on other cameras and
  lights, and on ages and skins of which these pictures hold few. Glasses and hats are rare in the data.
- Probabilities and open answers were fitted to how common each attribute is in the data. Where it is rarer or
  commoner they are off, and so are thresholds chosen for accuracy.
- The labels are human judgements and noisy. Smiling is an expression, not a feeling.
- Not for identification, not for decisions about people.
"""


def _made(record: Row) -> str:
    files: Sequence[str] = [
        f"- `{name}`: SHA-256 `{digest}`" for name, digest in record.get("data", {}).items()
    ]
    return f"""
## How it was made

    {record.get("command", "not recorded")}
    lsi export CHECKPOINT -o BUNDLE

{chr(10).join(files) or "Data not recorded."}

All attributes of the training file steady the masks with a small weight during training;
the outputs of those not named above were cut off before export.
"""


_TERMS = """
## Data and terms

Trained on CelebA-HQ (Karras et al., ICLR 2018; attributes and partition of CelebA, Liu et al.,
ICCV 2015) and, as scenes without a face, on BSDS500 (Arbelaez et al., PAMI 2011).
Both are for non-commercial research; so are these masks and weights.
No picture of either is in this file. Golden vectors are random numbers.
"""
