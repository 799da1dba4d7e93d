"""The model card."""

from dataclasses import replace
from typing import Any

from export.model_card import model_card
from export.parity import Parity
from tests.training.tiny import tiny_checkpoint

ESTIMATE = {"value": 0.9, "low_95": 0.875, "high_95": 0.925}
PARITY = Parity(
    rows=100, largest_error=0.25, mean_error=0.0625, sign_agreement=0.995, nrmse=0.01, cosine=0.999
)
RECORD = {
    "command": "lsi train attributes --data train.npz",
    "data": {"train.npz": "ab" * 32},
    "sensor": {"power_nw": 100.0},
    "thresholds": "chosen on tune",
    "figures": {
        "faces": 1500,
        "macro_auc": 0.93125,
        "macro_auc_noise_free": 0.9355,
        "presence_false_rejects": 0.011,
        "attributes": [
            {
                "name": "Smiling",
                "auc": 0.9615,
                "balanced_accuracy": 0.895,
                "accuracy": 0.902,
                "majority": 0.536,
                "positives": 696,
            }
        ],
        "presence": [
            {"against": "pictures without a face", "auc": 0.9951, "false_accepts": 0.024, "rows": 400}
        ],
    },
}


MORE = {
    "macro": {
        "auc": ESTIMATE,
        "average_precision": ESTIMATE,
        "prevalence": 0.25,
        "balanced_accuracy": ESTIMATE,
        "accuracy": ESTIMATE,
        "majority": 0.75,
    },
    "presence_false_rejects_in_place": 0.002,
    "presence_worst": {"against": "textures", "auc": 0.9712, "false_alarms_at_99": 0.0312},
    "attributes": [
        RECORD["figures"]["attributes"][0]  # type: ignore[index]  # a nested document
        | {
            "average_precision": 0.9625,
            "prevalence": 0.464,
            "ece": 0.0175,
            "ece_floor": 0.0125,
            "brier_skill": 0.7425,
            "coverage": 0.9125,
            "selective_accuracy": 0.9475,
        },
        {"name": "Wearing_Hat", "auc": None, "positives": 0, "ece": None},
    ],
    "presence": [
        {"against": "textures", "auc": 0.9712, "false_accepts": 0.5, "false_alarms_at_99": 0.0312, "rows": 9},
        {"against": "giants", "auc": 0.9, "false_accepts": 0.5, "rows": 9, "counts": False},
    ],
    "groups": {
        "by": ["Male", "Young"],
        "shared": ["Smiling"],
        "worst": "Male, not Young",
        "rows": [
            {
                "group": "Male, not Young",
                "rows": 196,
                "balanced_accuracy": 0.8425,
                "low_95": 0.7875,
                "high_95": 0.8925,
            }
        ],
        "attributes": [
            {
                "name": "Smiling",
                "worst_group": "Male, not Young",
                "balanced_accuracy": 0.8425,
                "true_positive_gap": 0.0425,
                "false_positive_gap": 0.1425,
                "groups": 4,
            },
            {"name": "Wearing_Hat", "worst_group": "", "balanced_accuracy": None, "groups": 1},
        ],
    },
}


def _card(*, is_float: bool = False, figures: dict[str, Any] | None = None) -> str:
    record = RECORD | {"figures": RECORD["figures"] | (figures or {})}  # type: ignore[operator]  # same
    return model_card(tiny_checkpoint(record), "attr-lite-6", "0.1.0", PARITY, is_float=is_float)


def _tables(card: str) -> list[list[str]]:
    """Blocks of lines that start with a bar."""
    blocks: list[list[str]] = [[]]
    for line in card.splitlines():
        if line.startswith("|"):
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    return [block for block in blocks if block]


def test_every_figure_stands_beside_its_trivial_predictor() -> None:
    card = _card(figures=MORE)
    assert (
        "| attribute | AUC | AP | prevalence | balanced accuracy | accuracy | majority | positives |" in card
    )
    assert "| Smiling | 0.9615 | 0.963 | 0.464 | 0.895 | 0.902 | 0.536 | 696 |" in card
    assert "| AUC | 0.9000 | 0.8750 to 0.9250 | chance 0.5; without sensor noise 0.9355 |" in card
    assert "| accuracy | 0.900 | 0.875 to 0.925 | majority 0.750 |" in card
    assert "| average precision | 0.900 | 0.875 to 0.925 | prevalence 0.250 |" in card


def test_calibration_and_open_answers_are_listed() -> None:
    assert "| Smiling | 0.018 | 0.013 | 0.743 | 91.2 % | 0.948 | 0.902 |" in _card(figures=MORE)


def test_figures_that_do_not_exist_are_dashes() -> None:
    card = _card(figures=MORE)
    assert "| Wearing_Hat | - | - | - | - | - | - | 0 |" in card
    assert "| Wearing_Hat | - | - | - | - | 1 |" in card
    assert "nan" not in card.lower()
    assert "None" not in card


def test_groups_stand_with_their_gaps_and_intervals() -> None:
    card = _card(figures=MORE)
    assert "| Male, not Young | 196 | 0.843 | 0.787 to 0.892 |" in card
    assert "| Smiling | Male, not Young | 0.843 | 0.043 | 0.142 | 4 |" in card
    assert "worst group: Male, not Young" in card
    assert "Skin tone is not labelled" in card


def test_presence_has_its_worst_kind_as_headline() -> None:
    card = _card(figures=MORE)
    assert "Worst kind: textures, AUC 0.9712; 3.1 % taken for a face when 99 % of faces pass." in card
    assert "| giants (not in the headline) | 0.9000 | 50.0 % | - | 9 |" in card
    assert "0.2 % exactly in their place" in card


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    for figures in ({}, MORE):
        for table in _tables(_card(figures=figures)):
            assert len({line.count("|") for line in table}) == 1


def test_a_record_of_an_older_checkpoint_still_gives_a_card() -> None:
    card = _card()
    assert "| Smiling | 0.9615 | - | - | 0.895 | 0.902 | 0.536 | 696 |" in card
    assert "Macro AUC 0.9313; without sensor noise 0.9355." in card
    assert "### Calibration" not in card
    assert "### Groups" not in card
    assert "Worst kind" not in card


def test_a_model_that_leaves_answers_open_says_so() -> None:
    assert "left open" not in _card()
    checkpoint = tiny_checkpoint()
    schema = replace(checkpoint.attributes, abstain=((0.0, 0.5), (-2.0, -1.0)))
    card = model_card(replace(checkpoint, attributes=schema), "a", "0.1.0", PARITY, is_float=False)
    assert "too close to call are left open" in card


def test_light_and_split_are_named() -> None:
    assert "100 nW" in _card()
    assert "*report* half of val (1500 faces" in _card()


def test_light_of_an_ideal_detector_is_counted_in_photons() -> None:
    card = model_card(tiny_checkpoint(RECORD | {"photons": 1e4}), "a", "0.1.0", PARITY, is_float=False)
    assert "ideal detector, 10000 photons" in card
    assert "nW" not in card


def test_presence_figures_are_listed() -> None:
    assert "| pictures without a face | 0.9951 | 2.4 % | - | 400 |" in _card()
    assert "1.1 % of report faces turned away" in _card()


def test_command_and_data_are_given() -> None:
    assert "    lsi train attributes --data train.npz\n" in _card()
    assert f"`train.npz`: SHA-256 `{'ab' * 32}`" in _card()


def test_the_loss_of_the_export_is_given() -> None:
    assert "largest logit error 0.250" in _card()
    assert "static int8" in _card()
    assert "float32" in _card(is_float=True)
    assert "static int8" not in _card(is_float=True)
