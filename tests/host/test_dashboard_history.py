from typing import Any

import pytest

from host.dashboard_history import history_options
from host.fleet import Moment


def lanes(*history: Moment) -> dict[str, list[list[float | None]]]:
    series: list[dict[str, Any]] = history_options(history)["series"]
    return {lane["name"]: lane["data"] for lane in series}


def test_yes_is_high_no_is_low_and_unknown_breaks_the_line() -> None:
    found = lanes(Moment(1, {"Smiling": True}), Moment(2, {"Smiling": None}), Moment(3, {"Smiling": False}))
    (_, high), (_, unknown), (_, low) = found["Smiling"]
    assert unknown is None
    assert high == pytest.approx(0.8)
    assert low == pytest.approx(0.1)


def test_each_answer_has_a_lane_of_its_own_and_presence_the_top_one() -> None:
    found = lanes(Moment(1, {"face": True, "Smiling": False, "Eyeglasses": True}))
    assert {name: points[0][1] for name, points in found.items()} == {
        "Eyeglasses": pytest.approx(0.8), "Smiling": pytest.approx(1.1), "face": pytest.approx(2.8),
    }  # fmt: skip


def test_a_device_that_was_silent_for_long_is_not_said_to_have_answered_meanwhile() -> None:
    high = pytest.approx(0.8)
    found = lanes(Moment(0, {"face": True}), Moment(1_000, {"face": True}))
    assert found["face"] == [[0, high], [150_000, None], [1_000_000, high]]


def test_an_attribute_that_the_policy_took_away_ends() -> None:
    found = lanes(Moment(1, {"face": True, "Smiling": True}), Moment(2, {"face": True}))
    assert found["Smiling"][-1] == [2_000, None]


def test_no_history_is_an_empty_chart() -> None:
    assert history_options([])["series"] == []
