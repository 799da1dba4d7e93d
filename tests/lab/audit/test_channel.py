import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.audit.channel import fano_bound, measurement_figures, message_figures


def test_entropies_of_messages_are_those_of_their_frequencies() -> None:
    messages = np.repeat([[1.0, 1], [1, -1], [-1, 0]], [500, 250, 250], axis=0)
    found = message_figures(messages, people=100, declared_bits=5.0)
    assert found["entropy_plug_in_bits"] == pytest.approx(1.5)
    assert found["entropy_bits"] == pytest.approx(1.5 + 2 / (2000 * math.log(2)))
    assert found["collision_entropy_bits"] == pytest.approx(-math.log2(0.25 + 2 / 16))
    assert (found["distinct"], found["alone_share"], found["declared_bits"]) == (3, 0, 5.0)
    assert found["counting_rank1_at_most"] == 3 / 100


def test_presence_adds_what_its_worst_share_adds() -> None:
    messages = np.repeat([[1.0], [2], [3], [4]], 5000, axis=0)
    found = message_figures(messages, people=10, declared_bits=2)
    shares = np.linspace(0.01, 0.99, 2000)
    told = -shares * np.log2(shares) - (1 - shares) * np.log2(1 - shares) + shares * 2.0
    assert found["entropy_with_presence_bits"] == pytest.approx(told.max(), abs=1e-3)


def test_messages_of_one_picture_are_counted() -> None:
    messages = np.array([[1.0]] * 6 + [[2.0]] + [[3.0]] * 3)
    found = message_figures(messages, people=10, declared_bits=2)
    assert (found["alone_share"], found["fewer_than_5_share"]) == (0.1, 0.4)


def test_a_measurement_tells_what_stands_out_of_its_noise() -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(200_000, 2)) * [math.sqrt(16), math.sqrt(1)]
    found = measurement_figures(values, np.array([1.0, 1.0]), adc_bits=12, people=10)
    # 4 bits of strength 16, none of a number that is all noise.
    assert found["gaussian_bits"] == pytest.approx(2.0, abs=0.02)
    assert (found["declared_bits"], found["effective_bits_per_mask"]) == (24, pytest.approx(1.0, abs=0.01))


@given(st.integers(2, 5000), st.floats(0, 20))
def test_no_attacker_passes_the_bound_that_is_met_by_naming_groups(people: int, bits: float) -> None:
    bound = fano_bound(bits, people)
    assert 1 / people - 1e-9 <= bound <= 1
    # Knowing one of 2^bits equal groups names a person with 2^bits / people at most.
    assert bound >= min(1.0, 2**bits / people) - 1e-6


def test_the_bound_is_chance_without_information_and_one_with_all_of_it() -> None:
    assert fano_bound(0.0, 100) == pytest.approx(0.01, abs=1e-6)
    assert fano_bound(math.log2(100), 100) == 1
    assert fano_bound(0.0, 1) == 1
