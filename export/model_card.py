"""``MODEL_CARD.md`` of a bundle, written from the record of its training."""

from collections.abc import Mapping
from typing import Any

from export.parity import Parity
from training.checkpoint import Checkpoint


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
The model has no other output: no latent, no picture, no other attribute.
"""


_FIGURES_HEAD = """
## Figures

"""


def _figures(figures: Mapping[str, Any] | None, record: Mapping[str, Any]) -> str:
    if figures is None:
        return "None were recorded with this checkpoint.\n"
    power_nw = record["sensor"]["power_nw"]
    lines = [
        f"Measured in float on the *report* half of val ({figures['faces']} faces of people that",
        "neither training nor thresholds saw), two arms, d as above,",
        f"{power_nw:g} nW on the board's sensor model.",
        "Chance is an AUC and a balanced accuracy of 0.5.",
        "*Majority* is the accuracy of always giving the commoner answer.",
        "",
        "| attribute | AUC | balanced accuracy | accuracy | majority | positives |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row['name']} | {row['auc']:.4f} | {row['balanced_accuracy']:.3f} | {row['accuracy']:.3f} "
        f"| {row['majority']:.3f} | {row['positives']} |"
        for row in figures["attributes"]
    ]
    lines += [
        "",
        f"Macro AUC {figures['macro_auc']:.4f}; without sensor noise {figures['macro_auc_noise_free']:.4f}.",
        f"Thresholds: {record['thresholds']}.",
        "",
        f"Presence ({100 * figures['presence_false_rejects']:.1f} % of report faces turned away):",
        "",
        "| faces against | AUC | taken for a face | scenes |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row['against']} | {row['auc']:.4f} | {100 * row['false_accepts']:.1f} % | {row['rows']} |"
        for row in figures["presence"]
    ]
    return "\n".join(lines) + "\n"


def _exported(measured: Parity, *, is_float: bool) -> str:
    form = "float32" if is_float else "static int8 with true ranges, weights int8 per row"
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
- The labels are human judgements and noisy. Smiling is an expression, not a feeling.
- Not for identification, not for decisions about people.
"""


def _made(record: Mapping[str, Any]) -> str:
    files = "\n".join(f"- `{name}`: SHA-256 `{digest}`" for name, digest in record.get("data", {}).items())
    return f"""
## How it was made

    {record.get("command", "not recorded")}
    lsi export CHECKPOINT -o BUNDLE

{files or "Data not recorded."}

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
