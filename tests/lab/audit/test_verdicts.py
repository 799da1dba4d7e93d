from pathlib import Path
from typing import Any

import pytest

from lab.audit.verdicts import Limits, overall, read_limits, verdicts
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


def counted(rate: float, upper: float, epsilon: bool = True) -> dict[str, Any]:  # noqa: FBT002 - a case
    member = {"over_chance": rate, "over_chance_99": [2 * rate - upper, upper], "windows": 20_000}
    return {
        **document(),
        "aggregation": {"membership": member, "epsilon": [{"holds": True}, {"holds": epsilon}]},
    }


def of_counts(found: list[dict[str, Any]]) -> dict[str, Any]:
    return next(each for each in found if each["name"] == "agg_rank1_over_chance_upper")


def test_counts_are_held_to_their_upper_bound_and_their_epsilon() -> None:
    found = held(verdicts(counted(1.15, 1.2, epsilon=False), Limits()))
    assert not found["agg_rank1_over_chance_upper"]
    assert not found["epsilon_violations"]
    assert all(held(verdicts(counted(1.0, 1.1), Limits())).values())


def test_too_few_windows_decide_nothing_and_count_as_little_as_a_broken_limit() -> None:
    found = of_counts(verdicts(counted(1.05, 1.15), Limits()))
    assert (found["verdict"], found["holds"]) == ("not decided", False)
    # Half the room that the interval takes: four times the windows.
    assert found["decided_by"] == pytest.approx(80_000, rel=0.2)
    narrower = counted(1.05, 1.05 + 0.1 * (20_000 / found["decided_by"]) ** 0.5)
    assert of_counts(verdicts(narrower, Limits()))["holds"]


def test_a_rate_above_the_limit_is_broken_however_few_windows_there_were() -> None:
    for rate in (1.1, 1.2):
        found = of_counts(verdicts(counted(rate, 3.0), Limits()))
        assert (found["verdict"], found["decided_by"]) == ("broken", None)


def test_the_worst_verdict_is_that_of_the_audit() -> None:
    kinds = ("holds", "not decided", "broken")
    rows = [{"verdict": kind} for kind in kinds]
    assert [overall(rows[:count]) for count in (1, 2, 3)] == list(kinds)
    assert overall(rows[::-1]) == "broken"
    assert overall([]) == "holds"


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
