from pathlib import Path
from typing import Any

import pytest

from lab.audit.verdicts import Limits, read_limits, verdicts
from lsi.errors import ConfigError


def document(rank1: float = 2.0, auc: float = 0.6, bits: float = 2.5) -> dict[str, Any]:
    figures = {
        "few": {"rank1_over_chance": rank1, "auc": 0.5},
        "many": {"rank1_over_chance": 1.0, "auc": auc},
    }
    lite = {
        "identification": {"finder": "few", "verifier": "many", "attackers": figures},
        "channel": {"entropy_with_presence_bits": bits},
    }
    return {"views": {"attr-lite": lite}, "aggregation": None, "static": [{"holds": True}]}


def held(found: list[dict[str, Any]]) -> dict[str, bool]:
    return {each["name"]: each["holds"] for each in found}


def test_each_limit_is_held_to_its_own_figure() -> None:
    names = ("attr_lite_rank1_over_chance", "attr_lite_verification_auc", "attr_lite_entropy_bits")
    assert held(verdicts(document(), Limits())) == dict.fromkeys((*names, "static_failures"), True)
    for name, broken in zip(names, (document(3.1), document(auc=0.66), document(bits=3.1)), strict=True):
        assert [each for each, holds in held(verdicts(broken, Limits())).items() if not holds] == [name]


def test_counts_are_held_to_their_upper_bound_and_their_epsilon() -> None:
    counted = {
        "membership": {"over_chance": 1.05, "over_chance_99": [1.0, 1.11]},
        "epsilon": [{"holds": True}, {"holds": False}],
    }
    found = held(verdicts({**document(), "aggregation": counted}, Limits()))
    assert not found["agg_rank1_over_chance_upper"]
    assert not found["epsilon_violations"]


def test_what_does_not_hold_without_data_breaks_the_audit() -> None:
    broken = {**document(), "static": [{"holds": False}, {"holds": True}]}
    assert not held(verdicts(broken, Limits()))["static_failures"]


def test_a_figure_that_is_no_number_does_not_hold() -> None:
    assert not held(verdicts(document(rank1=float("nan")), Limits()))["attr_lite_rank1_over_chance"]


def test_limits_of_a_file_replace_the_default_ones(tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    path.write_text("attr_lite_verification_auc = 0.6\nepsilon_violations = 1\n", "utf-8")
    assert read_limits(path) == Limits(attr_lite_verification_auc=0.6, epsilon_violations=1.0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("rank1 = 3", "names rank1"),
        ('attr_lite_entropy_bits = "3"', "is no number"),
        ("attr_lite_entropy_bits = true", "is no number"),
        ("attr_lite_entropy_bits = nan", "is no number"),
        ("attr_lite_entropy_bits = [", "is not TOML"),
    ],
)
def test_limits_that_mean_nothing_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "limits.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=reason):
        read_limits(path)


def test_no_limits_are_read_from_nowhere(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_limits(tmp_path / "limits.toml")
