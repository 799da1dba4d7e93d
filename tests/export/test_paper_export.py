"""Weights of the paper's size, by the golden rule, through everything."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from export.model_facts import model_facts
from export.paper_export import paper_model, plain_encoder, simplified
from export.paper_program import Program, results
from export.paper_tflite import Recipe
from lsi.errors import ConfigError
from tests.export.test_paper_tflite import run
from tests.training.paper_golden import check_answers, golden_measurements, golden_weights
from training.paper.paper_forward import paper_logits, paper_offset
from training.paper.paper_weights import HEAD_ATTRIBUTES, PaperWeights

D = 32
INPUTS = golden_measurements(D)
ALLOWED = ("Smiling", "Mouth_Slightly_Open", "Eyeglasses", "Wearing_Hat")


@pytest.fixture(scope="module")
def weights() -> PaperWeights:
    return golden_weights(D)


@pytest.fixture(scope="module")
def program(weights: PaperWeights) -> Program:
    return simplified(plain_encoder(weights))


@pytest.fixture(scope="module")
def reference(weights: PaperWeights) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    offset = paper_offset(weights, INPUTS)
    return offset, paper_logits(weights, offset)


@pytest.fixture(scope="module")
def int8_outputs(weights: PaperWeights) -> list[NDArray[np.float32]]:
    return run(paper_model(weights), INPUTS)


def cosine(found: NDArray[np.floating], wanted: NDArray[np.floating]) -> float:
    """Median over the rows."""
    a, b = found.reshape(len(found), -1), wanted.reshape(len(wanted), -1)
    return float(np.median((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)))


def test_the_plain_program_is_the_papers_arithmetic(
    weights: PaperWeights, reference: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> None:
    offset, logits = results(plain_encoder(weights), INPUTS[:2])
    assert np.abs(offset[:, 0] - reference[0][:2]).max() < 1e-9 * np.abs(reference[0]).max()
    assert np.abs(logits[:, 0] - reference[1][:2]).max() < 1e-9 * np.abs(reference[1]).max()


def test_all_passes_together_give_the_golden_numbers(
    program: Program, reference: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> None:
    offset, logits = results(program, INPUTS[:2])
    check_answers(D, offset[:, 0], logits[:, 0])
    assert np.abs(offset[:, 0] - reference[0][:2]).max() < 1e-9 * np.abs(reference[0]).max()


def test_a_third_of_the_weights_is_gone(weights: PaperWeights, program: Program) -> None:
    dead = 80 * 2 * 128 * 512
    assert weights.parameters - dead > program.weight_count - 40 * 9217 > 18e6


def test_int8_stays_close_at_full_size(
    int8_outputs: list[NDArray[np.float32]], reference: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> None:
    assert cosine(int8_outputs[0], reference[0]) > 0.998
    assert (np.sign(int8_outputs[1][:, 0]) == np.sign(reference[1])).mean() > 0.97


def test_the_int8_file_is_small_and_multiplies_as_often(weights: PaperWeights, program: Program) -> None:
    facts = model_facts(paper_model(weights))
    assert facts.size_bytes < 20e6
    assert facts.macs == model_facts(paper_model(weights, Recipe.FLOAT32)).macs
    # Every weight of a linear map is used at least once, and biases never are.
    assert facts.macs > 0.95 * program.weight_count


def test_the_attribute_form_gives_the_named_logits(
    weights: PaperWeights, reference: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> None:
    (logits,) = run(paper_model(weights, Recipe.FLOAT32, ALLOWED), INPUTS)
    columns = [HEAD_ATTRIBUTES.index(name) for name in ALLOWED]
    assert np.abs(logits[:, 0] - reference[1][:, columns]).max() < 1e-4


def test_without_a_head_the_offset_is_the_only_output(weights: PaperWeights) -> None:
    headless = replace(weights, head_weight=None, head_bias=None)
    assert plain_encoder(headless).outputs == ("offset",)
    with pytest.raises(ConfigError, match="no attribute head"):
        paper_model(headless, attributes=ALLOWED)


@pytest.mark.parametrize("attributes", [(), ("Smiling", "Smiling"), ("Frowning",)])
def test_attributes_that_the_head_cannot_be_cut_to_are_refused(
    weights: PaperWeights, attributes: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError, match="cannot be cut"):
        paper_model(weights, attributes=attributes)
