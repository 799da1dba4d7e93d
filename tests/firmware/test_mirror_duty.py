import numpy as np
import pytest

from firmware.mirror_duty import MirrorDuty
from lsi.patterns import PatternSet

SEQUENCE = PatternSet(np.array([[[False, False]], [[True, True]], [[True, False]], [[True, False]]]))


def test_nothing_is_known_before_the_first_pass() -> None:
    assert MirrorDuty().extremes is None


def test_duty_is_the_time_on_of_the_time_of_the_pass() -> None:
    duty = MirrorDuty()
    duty.add_pass(SEQUENCE, 100, 1_000, 1_500)
    assert duty.extremes == (0.2, 0.6)


def test_between_passes_the_mirrors_idle_half_the_time_on_each_side() -> None:
    duty = MirrorDuty()
    duty.add_pass(SEQUENCE, 100, 0, 500)
    duty.add_pass(SEQUENCE, 100, 9_500, 10_000)
    assert duty.extremes == pytest.approx(((200 + 4500) / 10_000, (600 + 4500) / 10_000))


def test_masks_of_another_size_are_counted_anew() -> None:
    duty = MirrorDuty()
    duty.add_pass(SEQUENCE, 100, 0, 500)
    duty.add_pass(PatternSet(np.ones((1, 2, 2), np.bool_)), 100, 500, 700)
    assert duty.extremes == (0.5, 0.5)
