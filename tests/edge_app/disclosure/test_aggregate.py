"""Windows: one contribution for a visit, fixed times, noise, suppression, and a ledger that says no."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.disclosure.aggregate import Aggregator, AggRules, Window
from edge_app.disclosure.privacy_ledger import LEDGER_NAME, PrivacyLedger
from firmware.sim.clock import SimClock
from lsi.aggregate import AggPayload
from lsi.errors import AppConfigError, PayloadError
from lsi.events import EventPayload, Phase
from lsi.units import NS_PER_S
from tests import leaving

RULES = AggRules(window_s=900)


def quiet(_decay: Fraction) -> int:
    """No noise: what is counted shows."""
    return 0


class Counter:
    """An aggregator with a clock that moves by hand."""

    def __init__(
        self,
        state: Path,
        names: tuple[str, ...] = leaving.NAMES,
        noise: Callable[[Fraction], int] = quiet,
        clock: SimClock | None = None,
    ) -> None:
        self.clock = clock or SimClock(5 * NS_PER_S)
        self.ledger = PrivacyLedger(state, "boot-1")
        self.aggregator = Aggregator(RULES, names, self.ledger, clock=self.clock, noise=noise)

    def visit(self, phase: Phase = Phase.END, **answers: bool | None) -> None:
        encoded = leaving.event(
            phase=phase, attributes=answers, duration_s=3 if phase is Phase.END else None
        )(1)
        self.aggregator.count(EventPayload.decode(encoded))

    def after(self, seconds: float) -> Window | None:
        self.clock.advance(round(seconds * NS_PER_S))
        return self.aggregator.due()


def test_a_visit_counts_once_when_it_ends_with_its_answers(tmp_path: Path) -> None:
    counter = Counter(tmp_path)
    for _ in range(12):
        for phase in Phase:
            counter.visit(phase, Smiling=True, Eyeglasses=None)
    counter.visit(Smiling=False, Eyeglasses=True)
    assert counter.after(900) == Window(13, {"Smiling": 12, "Eyeglasses": 1})


def test_windows_end_at_fixed_times_whatever_they_hold(tmp_path: Path) -> None:
    counter = Counter(tmp_path)
    assert counter.after(899.999) is None
    assert counter.after(0.001) == Window(None, None)
    for _ in range(20):
        counter.visit()
    assert counter.after(800) is None
    late = counter.after(150)  # nobody asked for 50 s: the next window ends when it would have
    assert late == Window(20, {"Smiling": 0, "Eyeglasses": 0})
    assert counter.after(849) is None
    assert counter.after(1) == Window(None, None)


def test_a_long_silence_is_one_window_and_not_many(tmp_path: Path) -> None:
    counter = Counter(tmp_path)
    assert counter.after(10 * 900 + 5) is not None
    assert counter.aggregator.due() is None
    assert counter.after(894) is None
    assert counter.after(1) is not None
    assert counter.ledger.spent.releases == 2


@pytest.mark.parametrize(
    ("visits", "noise", "told"), [(9, 0, False), (10, 0, True), (8, 2, True), (12, -3, False)]
)
def test_fewer_than_ten_with_noise_are_not_told(tmp_path: Path, visits: int, noise: int, told: bool) -> None:
    counter = Counter(tmp_path, noise=lambda _: noise)
    for _ in range(visits):
        counter.visit(Smiling=True)
    window = counter.after(900)
    assert window is not None
    assert (window.visits is not None) == told == (window.yes is not None)


def test_noise_is_drawn_for_every_number_with_the_whole_epsilon_shared_among_them(tmp_path: Path) -> None:
    decays: list[Fraction] = []

    def noted(decay: Fraction) -> int:
        decays.append(decay)
        return -5

    counter = Counter(tmp_path, noise=noted)
    for _ in range(20):
        counter.visit(Eyeglasses=True)
    assert counter.after(900) == Window(15, {"Smiling": 0, "Eyeglasses": 15})
    assert decays == [Fraction(1, 3)] * 3
    assert counter.aggregator.sensitivity == 3


def test_noise_does_not_depend_on_what_was_counted(tmp_path: Path) -> None:
    """The same draws are made in an empty and in a full window: neither number nor time of them tells."""
    draws: list[int] = []
    for visits in (0, 50):
        state = tmp_path / str(visits)
        state.mkdir()
        made: list[Fraction] = []
        counter = Counter(state, noise=lambda decay, made=made: made.append(decay) or 0)  # type: ignore[misc]
        for _ in range(visits):
            counter.visit(Smiling=True)
        counter.after(900)
        draws.append(len(made))
    assert draws[0] == draws[1] == 3


def test_cost_is_on_the_ledger_before_a_window_is_told(tmp_path: Path) -> None:
    seen: list[int] = []

    def noted(_: Fraction) -> int:
        seen.append(json.loads((tmp_path / LEDGER_NAME).read_text())["releases"])
        return 0

    Counter(tmp_path, noise=noted).after(900)
    assert set(seen) == {1}


def test_a_window_that_straddles_a_restart_is_not_told(tmp_path: Path) -> None:
    clock = SimClock(5 * NS_PER_S)
    before = Counter(tmp_path, clock=clock)
    for _ in range(30):
        before.visit()
    assert before.after(600) is None
    again = Counter(tmp_path, clock=clock)
    assert again.after(300) is None  # the old window would have ended here
    assert again.after(600) == Window(None, None)
    assert again.ledger.spent.releases == 1


def test_a_ledger_that_cannot_be_written_stops_windows_and_not_the_sensor(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    counter = Counter(tmp_path)
    (tmp_path / LEDGER_NAME).mkdir()
    for _ in range(3):
        for _ in range(20):
            counter.visit()
        assert counter.after(900) is None
    assert counter.aggregator.is_stuck
    assert caplog.text.count("A window is not told") == 1
    (tmp_path / LEDGER_NAME).rmdir()
    assert counter.after(900) == Window(None, None)  # what was counted meanwhile is gone
    assert not counter.aggregator.is_stuck


def test_without_a_ledger_nothing_is_ever_told(caplog: pytest.LogCaptureFixture) -> None:
    clock = SimClock()
    with caplog.at_level(logging.DEBUG):
        aggregator = Aggregator(RULES, leaving.NAMES, None, clock=clock)
        for _ in range(20):
            clock.advance(900 * NS_PER_S)
            assert aggregator.due() is None
    assert aggregator.is_stuck


@given(st.lists(st.booleans(), max_size=40), st.integers(-30, 30))
def test_no_number_leaves_its_bounds(
    tmp_path_factory: pytest.TempPathFactory, visits: list[bool], noise: int
) -> None:
    counter = Counter(tmp_path_factory.mktemp("state"), noise=lambda _: noise)
    for smiling in visits:
        counter.visit(Smiling=smiling)
    window = counter.after(900)
    assert window is not None
    payload = AggPayload(
        leaving.DEVICE, leaving.STREAM, 1, "2026-01-01T12:00:00.000Z", "ntp", leaving.BUNDLE,
        900, 1.0, 3, window.visits, window.yes,
    )  # fmt: skip
    assert AggPayload.decode(payload.encode()) == payload


@pytest.mark.parametrize(
    ("window_s", "epsilon"),
    [(59, 1), (86_401, 1), (900, 0), (900, 11), (900, Fraction(1, 3)), (900, "0.0125")],
)
def test_rules_out_of_range_are_refused(window_s: int, epsilon: int | str | Fraction) -> None:
    with pytest.raises(AppConfigError):
        AggRules(window_s, Fraction(epsilon))


@pytest.mark.parametrize(("visits", "yes"), [(None, {"Smiling": 3}), (12, None), (9, {"Smiling": 3})])
def test_a_window_tells_all_or_nothing(visits: int | None, yes: dict[str, int] | None) -> None:
    whole = AggPayload(
        leaving.DEVICE,
        leaving.STREAM,
        1,
        "2026-01-01T12:00:00.000Z",
        "ntp",
        leaving.BUNDLE,
        900,
        1.0,
        2,
        None,
        None,
    )
    with pytest.raises(PayloadError):
        replace(whole, visits=visits, yes=yes)
