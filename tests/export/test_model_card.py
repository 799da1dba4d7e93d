"""The model card."""

from export.model_card import model_card
from export.parity import Parity
from tests.training.tiny import tiny_checkpoint

PARITY = Parity(rows=100, largest_error=0.25, mean_error=0.0625, sign_agreement=0.995)
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


def _card(*, is_float: bool = False) -> str:
    return model_card(tiny_checkpoint(RECORD), "attr-lite-6", "0.1.0", PARITY, is_float=is_float)


def test_every_figure_stands_beside_its_trivial_predictor() -> None:
    assert "| Smiling | 0.9615 | 0.895 | 0.902 | 0.536 | 696 |" in _card()
    assert "| attribute | AUC | balanced accuracy | accuracy | majority | positives |" in _card()


def test_light_and_split_are_named() -> None:
    assert "100 nW" in _card()
    assert "*report* half of val (1500 faces" in _card()


def test_presence_figures_are_listed() -> None:
    assert "| pictures without a face | 0.9951 | 2.4 % | 400 |" in _card()
    assert "1.1 % of report faces turned away" in _card()


def test_command_and_data_are_given() -> None:
    assert "    lsi train attributes --data train.npz\n" in _card()
    assert f"`train.npz`: SHA-256 `{'ab' * 32}`" in _card()


def test_the_loss_of_the_export_is_given() -> None:
    assert "largest logit error 0.250" in _card()
    assert "static int8" in _card()
    assert "float32" in _card(is_float=True)
    assert "static int8" not in _card(is_float=True)
