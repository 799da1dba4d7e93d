"""The numpy reference of the paper's encoder."""

import numpy as np
import pytest

from tests.training.paper_golden import (
    GOLDEN_D,
    TOLERANCE,
    check_answers,
    golden_measurements,
    golden_weights,
    official_arrays,
)
from tests.training.paper_tiny import D, patterned_weights
from training.paper.paper_forward import paper_logits, paper_offset


@pytest.mark.parametrize("d", GOLDEN_D)
def test_offsets_and_logits_are_those_of_the_official_arithmetic(d: int) -> None:
    weights = golden_weights(d)
    offset = paper_offset(weights, golden_measurements(d)[:2])
    assert offset.shape == (2, 18, 512)
    check_answers(d, offset, paper_logits(weights, offset))


@pytest.mark.parametrize("d", GOLDEN_D)
def test_all_official_numbers_are_met_where_the_files_are_at_hand(d: int) -> None:
    official, weights = official_arrays(d), golden_weights(d)
    offset = paper_offset(weights, official["measurement"])
    np.testing.assert_allclose(offset, official["offset"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(paper_logits(weights, offset), official["logits"], rtol=0, atol=TOLERANCE)


def test_raw_sums_of_a_whole_field_are_computed_without_a_warning() -> None:
    raw = np.random.default_rng(0).uniform(0, 3 * 256**2, (1, D))
    assert np.isfinite(paper_offset(patterned_weights(), raw)).all()


@pytest.mark.parametrize("shape", [(D,), (1, D + 1), (1, 1, D)])
def test_measurements_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="measurements must be"):
        paper_offset(patterned_weights(), np.zeros(shape))


def test_without_a_head_there_are_no_logits() -> None:
    with pytest.raises(ValueError, match="no attribute head"):
        paper_logits(patterned_weights(), np.zeros((1, 18, 512)))
