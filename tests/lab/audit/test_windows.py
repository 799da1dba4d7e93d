from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from lab.audit.counts import Released
from lab.audit.device_counts import BUFFER_BYTES, BufferedChance, DeviceCounts
from lab.audit.people import People
from lab.audit.views import LITE
from lab.audit.windows import crowds, epsilon_cases
from lsi.aggregate import LEAST_VISITS

NAMES = ("Smiling", "Wearing_Hat")


def test_the_device_counts_visits_and_answers_with_noise_around_the_truth() -> None:
    mechanism = DeviceCounts(NAMES)
    true = (400, 300, 150)
    seen = np.array([mechanism.release(true) for _ in range(300)], np.float64)
    assert mechanism.epsilon == 1.0
    assert seen.mean(axis=0) == pytest.approx(true, abs=1.2)
    # Discrete Laplace of decay 1/3: variance 2 a / (1 - a)^2 with a = exp(-1/3).
    decayed = np.exp(-1 / 3)
    assert seen.var(axis=0) == pytest.approx(np.full(3, 2 * decayed / (1 - decayed) ** 2), rel=0.5)


def test_a_window_of_few_visits_is_not_told() -> None:
    told = [DeviceCounts(NAMES).release((1, 1, 0)) for _ in range(40)]
    assert sum(each is None for each in told) > 35
    assert all(each is None or each[0] >= LEAST_VISITS for each in told)


def test_one_window_does_not_flow_into_the_next() -> None:
    mechanism = DeviceCounts(NAMES)
    mechanism.release((500, 500, 500))
    after = mechanism.release((100, 0, 0))
    assert after is not None
    assert after[0] < 200


class Naked:
    """True counts, and the claim of 1."""

    epsilon = 1.0

    def release(self, counts: Sequence[int]) -> Released:
        return tuple(counts)


def test_the_device_keeps_its_epsilon_and_true_counts_do_not() -> None:
    cases = epsilon_cases(DeviceCounts(NAMES), len(NAMES), rounds=300)
    assert [case.holds for case in cases] == [True] * 4
    assert {case.claimed for case in cases} == {1.0}
    assert not any(case.holds for case in epsilon_cases(Naked(), len(NAMES), rounds=300))


def people(count: int, seed: int) -> People:
    """Answer 0 stays a person's own, answer 1 is drawn anew for every picture; presence comes first."""
    generator = np.random.default_rng(seed)
    identity = np.repeat(np.arange(count), 2)
    own = np.repeat(generator.random(count) < 0.5, 2)
    drawn = generator.random(2 * count) < 0.5
    answers: NDArray[np.float64] = np.where(np.stack((own, drawn), axis=1), 1.0, -1.0)
    view = np.hstack((np.ones((2 * count, 1)), answers))
    return People(identity, np.zeros((2 * count, 0), np.int8), (), {LITE: view})


def test_who_saw_a_person_once_expects_what_stays_and_not_what_changes() -> None:
    before, inside = crowds(people(200, 0), people(60, 1), visits=5)
    assert (before.shown == inside.shown).all()
    assert inside.expected == pytest.approx(inside.shown)
    assert before.expected[:, 0] == pytest.approx(before.shown[:, 0], abs=0.02)
    assert before.expected[:, 1] == pytest.approx(np.full(60, 0.5), abs=0.15)
    assert before.visits == 5


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 255, 256, 257])
def test_buffered_chance_is_even_and_below_its_limit(limit: int) -> None:
    chance = BufferedChance()
    draws = 20_000
    counts = np.bincount([chance.below(limit) for _ in range(draws)], minlength=limit)
    assert len(counts) == limit
    # Chi squared of limit - 1 degrees of freedom: six deviations above its mean is one run in many millions.
    even = draws / limit
    assert ((counts - even) ** 2 / even).sum() <= (limit - 1) + 6 * (2 * (limit - 1)) ** 0.5 + 15 * (
        limit > 1
    )


def test_no_byte_of_the_source_is_used_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    stream = iter(range(10**9))

    def source(count: int) -> bytes:
        asked.append(count)
        return b"".join((next(stream) % 65_536).to_bytes(2, "little") for _ in range(count // 2))

    monkeypatch.setattr("os.urandom", source)
    chance = BufferedChance()
    drawn = [chance.below(65_536) for _ in range(BUFFER_BYTES)]
    assert drawn == [k % 65_536 for k in range(BUFFER_BYTES)]
    assert asked == [BUFFER_BYTES] * 2
