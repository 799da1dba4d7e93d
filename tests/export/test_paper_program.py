"""The intermediate form: order, shapes, and the float64 meaning of each step."""

import math

import numpy as np
import pytest

from export.paper_program import Array, Op, Program, Step, evaluate, results, shapes_of
from tests.export.paper_small import measurements, small_plain

X = np.array([[3.0, -1.0, 2.0], [0.5, 4.0, -6.0]])


def computed(
    op: Op, *, weights: tuple[Array, ...] = (), biases: tuple[Array, ...] = (), index: int = 0
) -> Array:
    """What ``op`` makes of ``X``, which a program has to build from its one row first."""
    step = Step(op, "result", ("x",), weights, biases, index=index)
    program = Program("m", 6, (Step(Op.RESHAPE, "x", ("m",), shape=(2, 3)), step), ("result",))
    result: Array = evaluate(program, X.reshape(1, -1))["result"][0]
    assert result.shape == shapes_of(program)["result"]
    return result


def test_a_norm_has_mean_zero_and_nearly_unit_spread() -> None:
    standard = computed(Op.NORM)
    assert standard.mean(axis=1) == pytest.approx([0, 0], abs=1e-12)
    assert standard.var(axis=1) == pytest.approx(X.var(axis=1) / (X.var(axis=1) + 1e-5), abs=1e-12)


def test_rstd_is_what_a_norm_multiplies_with() -> None:
    assert np.allclose((X - X.mean(axis=1, keepdims=True)) * computed(Op.RSTD), computed(Op.NORM))


def test_each_row_of_a_block_step_has_its_own_weights() -> None:
    first, second = np.ones((1, 3)), np.array([[1.0, 0.0, 0.0]])
    blocks = computed(Op.BLOCKS, weights=(first, second), biases=(np.array([10.0]), np.array([0.0])))
    assert blocks.tolist() == [[14.0], [0.5]]


def test_activations_have_their_textbook_values() -> None:
    assert computed(Op.SILU)[0, 0] == pytest.approx(3 / (1 + math.exp(-3)))
    assert computed(Op.GELU)[0, 0] == pytest.approx(3 * 0.5 * (1 + math.erf(3 / math.sqrt(2))))


def test_silu_of_very_negative_numbers_is_zero_without_a_warning() -> None:
    program = Program("m", 1, (Step(Op.SILU, "result", ("m",)),), ("result",))
    assert evaluate(program, np.array([[-2000.0]]))["result"][0, 0, 0] == 0


def test_one_token_attends_to_itself() -> None:
    program = Program("m", 6, (Step(Op.ATTEND, "result", ("m",)),), ("result",))
    assert evaluate(program, np.arange(6.0)[np.newaxis])["result"][0].tolist() == [[4.0, 5.0]]


def test_tokens_are_mixed_along_the_rows() -> None:
    assert computed(Op.MIX, weights=(np.array([[0.0, 1.0], [2.0, 0.0]]),)).tolist() == [
        X[1].tolist(),
        (2 * X[0]).tolist(),
    ]


def test_constants_scale_and_shift() -> None:
    assert np.array_equal(computed(Op.SCALE, weights=(np.array([[1.0, 2.0, 3.0]]),)), X * [1, 2, 3])
    assert np.array_equal(computed(Op.SHIFT, biases=(np.array([[1.0], [2.0]]),)), X + np.array([[1], [2]]))


def test_a_row_is_cut_out_by_its_index() -> None:
    assert computed(Op.ROW, index=1).tolist() == [X[1].tolist()]


def test_shapes_are_those_of_the_values() -> None:
    program = small_plain()
    values = evaluate(program, measurements(3))
    assert {name: value.shape for name, value in values.items()} == {
        name: (3, *shape) for name, shape in shapes_of(program).items()
    }


def test_many_measurements_at_once_give_what_one_at_a_time_gives() -> None:
    program, inputs = small_plain(), measurements(3)
    together, alone = results(program, inputs), [results(program, row[np.newaxis]) for row in inputs]
    for index, found in enumerate(together):
        assert np.allclose(found, np.concatenate([each[index] for each in alone]), rtol=1e-12, atol=1e-12)


def test_a_step_that_reads_ahead_is_refused() -> None:
    with pytest.raises(ValueError, match="too early"):
        Program("m", 1, (Step(Op.SILU, "a", ("b",)), Step(Op.SILU, "b", ("m",))), ("b",))


def test_a_name_is_given_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        Program("m", 1, (Step(Op.SILU, "a", ("m",)), Step(Op.GELU, "a", ("m",))), ("a",))


def test_an_output_without_a_step_is_refused() -> None:
    with pytest.raises(ValueError, match="no step gives"):
        Program("m", 1, (), ("logits",))


def test_repr_shows_no_values() -> None:
    step = Step(Op.LINEAR, "y", ("m",), (np.full((1, 1), 0.125),))
    assert "0.125" not in repr(step) + repr(Program("m", 1, (step,), ("y",)))
