"""What every ``PatternModulator`` and the ``TriggerLine`` beside it promise."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from firmware.drivers.dlpc900 import Dlpc900
from firmware.interfaces import Advance, Clock, PatternModulator, TriggerLine
from firmware.sim.clock import SimClock
from firmware.sim.dlpc900_chip import SimDlpc900
from firmware.sim.trigger import SimTriggerLine
from lsi.errors import TriggerTimeoutError
from lsi.patterns import PatternSet
from tests.firmware.scripted import ScriptedClock, ScriptedModulator, ScriptedTrigger

SEQUENCE = PatternSet(np.random.default_rng(5).random((3, 8, 8)) < 0.5)
EXPOSURE_NS = 200_000
REARM_NS = 120_000
TIMEOUT_NS = 1_000_000


@dataclass
class Pair:
    modulator: PatternModulator
    trigger: TriggerLine
    clock: Clock


def simulated() -> Pair:
    clock = SimClock()
    controller = SimDlpc900(clock)
    return Pair(Dlpc900(controller, mirror_scale_px=4), SimTriggerLine(controller, clock), clock)


def scripted() -> Pair:
    clock = ScriptedClock()
    return Pair(ScriptedModulator(), ScriptedTrigger(clock, [105_000] * 3 + [None]), clock)


@pytest.fixture(params=[simulated, scripted])
def pair(request: pytest.FixtureRequest) -> Pair:
    make: Callable[[], Pair] = request.param
    return make()


def show(pair: Pair) -> int:
    edge_ns = pair.trigger.advance(TIMEOUT_NS)
    pair.clock.wait_until_ns(edge_ns + EXPOSURE_NS + REARM_NS)
    return edge_ns


def test_nothing_is_loaded_at_first_and_then_what_was_loaded(pair: Pair) -> None:
    assert pair.modulator.loaded_digest is None
    pair.modulator.load(SEQUENCE, EXPOSURE_NS)
    assert pair.modulator.loaded_digest == SEQUENCE.digest


def test_a_pass_shows_every_pattern_once_and_then_no_more(pair: Pair) -> None:
    pair.modulator.load(SEQUENCE, EXPOSURE_NS)
    pair.modulator.start()
    before = pair.clock.now_ns()
    edges = [show(pair) for _ in range(3)]
    assert before < edges[0] < edges[1] < edges[2]
    assert pair.trigger.edges_seen() == 3
    assert not pair.modulator.is_running()
    with pytest.raises(TriggerTimeoutError):
        pair.trigger.advance(TIMEOUT_NS)
    assert pair.trigger.edges_seen() == 3


def test_a_free_run_needs_no_trigger_and_ends_by_itself(pair: Pair) -> None:
    pair.modulator.load(SEQUENCE, EXPOSURE_NS, Advance.FREE_RUNNING)
    assert pair.modulator.loaded_digest == SEQUENCE.digest
    pair.modulator.start()
    pair.clock.wait_until_ns(pair.clock.now_ns() + 3 * EXPOSURE_NS + TIMEOUT_NS)
    assert not pair.modulator.is_running()
    assert pair.trigger.edges_seen() == 0
    pair.modulator.stop()
    assert pair.modulator.loaded_digest == SEQUENCE.digest


def test_a_timeout_takes_the_time_that_was_allowed(pair: Pair) -> None:
    pair.modulator.load(SEQUENCE, EXPOSURE_NS)
    pair.modulator.start()
    for _ in range(3):
        show(pair)
    before = pair.clock.now_ns()
    with pytest.raises(TriggerTimeoutError):
        pair.trigger.advance(TIMEOUT_NS)
    assert pair.clock.now_ns() - before >= TIMEOUT_NS


def test_stopping_twice_is_safe_and_keeps_the_masks(pair: Pair) -> None:
    pair.modulator.load(SEQUENCE, EXPOSURE_NS)
    pair.modulator.start()
    pair.modulator.stop()
    pair.modulator.stop()
    assert pair.modulator.loaded_digest == SEQUENCE.digest
    assert not pair.modulator.is_running()
