"""Each pass keeps the float64 result and takes away what it says."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from export.paper_export import PASSES, simplified
from export.paper_passes import (
    Pass,
    with_attributes_only,
    with_centred_norms,
    with_folded_norms,
    with_merged_shifts,
    with_pushed_biases,
    with_shared_steps,
    with_stacked_linears,
    without_dead_attention,
    without_dead_steps,
)
from export.paper_plain import LOGITS, OFFSET
from export.paper_program import Op, Program, Step, results
from tests.export.paper_small import WIDTH, D, measurements, relative_error, small_plain

EXACT = 1e-9
ATTENTION_LAYERS = 80
INPUTS = measurements()


def after(passes: Sequence[Pass]) -> Program:
    program = small_plain()
    for each in passes:
        program = each(program)
    return program


def before_and_after(wanted: Pass) -> tuple[Program, Program]:
    """The program that ``wanted`` meets in its place, and what it makes of it."""
    before = after(PASSES[: PASSES.index(wanted)])
    return before, wanted(before)


def ops(program: Program) -> Counter[Op]:
    return Counter(step.op for step in program.steps)


@pytest.mark.parametrize("wanted", PASSES, ids=lambda each: each.__name__)
def test_a_pass_keeps_the_result_in_float64(wanted: Pass) -> None:
    before, found = before_and_after(wanted)
    assert relative_error(found, before, INPUTS) < EXACT
    assert [(step.op, step.inputs) for step in found.steps] != [
        (step.op, step.inputs) for step in before.steps
    ] or (found.weight_count < before.weight_count)


@pytest.mark.parametrize("wanted", PASSES[:-1], ids=lambda each: each.__name__)
def test_a_pass_is_exact_on_the_program_as_it_came_too(wanted: Pass) -> None:
    assert relative_error(wanted(small_plain()), small_plain(), INPUTS) < EXACT


def test_query_and_key_are_gone() -> None:
    before, found = before_and_after(without_dead_attention)
    assert ops(before)[Op.ATTEND] == ATTENTION_LAYERS
    assert ops(found)[Op.ATTEND] == 0
    assert before.weight_count - found.weight_count == ATTENTION_LAYERS * 2 * (WIDTH // 4) * WIDTH


def test_no_norm_keeps_gamma_and_beta() -> None:
    _, found = before_and_after(with_folded_norms)
    assert all(step.weights == () and step.biases == () for step in found.steps if step.op is Op.NORM)
    assert ops(found)[Op.SCALE] == 3  # gamma of the gated blocks


def test_a_norm_that_something_else_reads_keeps_them() -> None:
    steps = (
        Step(Op.NORM, "n", ("m",), (np.full(D, 2.0),), (np.ones(D),)),
        Step(Op.LINEAR, "l", ("n",), (np.eye(D),)),
        Step(Op.ADD, "sum", ("l", "n")),
    )
    program = Program("m", D, steps, ("sum",))
    assert relative_error(with_folded_norms(program), program, INPUTS) < EXACT
    assert with_folded_norms(program).steps[0].weights != ()


def test_three_constants_in_a_row_become_one() -> None:
    shifts = [
        Step(Op.SHIFT, f"s{i}", (f"s{i - 1}" if i else "m",), biases=(np.full((1, 1), 10.0**i),))
        for i in range(3)
    ]
    merged = with_merged_shifts(Program("m", D, tuple(shifts), ("s2",)))
    assert [(step.inputs, step.biases[0].item()) for step in merged.steps] == [(("m",), 111.0)]


def test_a_shifted_value_that_is_an_output_stays() -> None:
    shifts = (
        Step(Op.SHIFT, "a", ("m",), biases=(np.ones((1, 1)),)),
        Step(Op.SHIFT, "b", ("a",), biases=(np.ones((1, 1)),)),
    )
    program = Program("m", D, shifts, ("a", "b"))
    assert relative_error(with_merged_shifts(program), program, INPUTS) < EXACT


def test_values_have_no_bias_of_their_own() -> None:
    before, found = before_and_after(with_pushed_biases)
    values = [step for step in found.steps if step.output.endswith(".attended")]
    assert len(values) == ATTENTION_LAYERS
    assert all(step.biases == () for step in values)
    assert before.weight_count - found.weight_count == ATTENTION_LAYERS * (WIDTH // 4)


def test_only_norms_behind_a_silu_are_centred_by_weights() -> None:
    before, found = before_and_after(with_centred_norms)
    kept = {step.output for step in found.steps if step.op is Op.NORM}
    assert ops(before)[Op.NORM] == ATTENTION_LAYERS + 18 + 3
    assert kept == {f"styles.{i}.norm" for i in range(18)} | {
        f"{name}.layers.0.fn.sgu.norm" for name in ("proj_input_0_glp", "proj_input_1_glp", "out")
    }
    values = next(step for step in found.steps if step.output == "styles.7.convs.1.attended")
    assert np.abs(values.weights[0].sum(axis=1)).max() < 1e-12


def test_the_norm_of_one_input_is_computed_once() -> None:
    _, found = before_and_after(with_shared_steps)
    assert sum(step.op is Op.NORM for step in found.steps) == 3 + 3


def test_what_differs_in_row_or_shape_is_not_shared() -> None:
    steps = (
        Step(Op.RESHAPE, "x", ("m",), shape=(2, 3)),
        Step(Op.RESHAPE, "y", ("m",), shape=(3, 2)),
        Step(Op.ROW, "a", ("x",), index=0),
        Step(Op.ROW, "b", ("x",), index=1),
        Step(Op.ADD, "sum", ("a", "b")),
    )
    assert with_shared_steps(Program("m", D, steps, ("sum", "y"))).steps == steps


def test_first_linears_of_a_group_are_one() -> None:
    before, found = before_and_after(with_stacked_linears)
    assert sum(step.output.endswith("initial.0") and step.op is Op.LINEAR for step in before.steps) == 18
    stacked = [step.weights[0].shape for step in found.steps if step.output.endswith(".stacked")]
    assert stacked == [(3 * WIDTH, D), (4 * WIDTH, D), (11 * WIDTH, D)]


def test_attributes_only_gives_the_same_logits_and_no_offset() -> None:
    program = simplified(small_plain())
    cut = with_attributes_only([3, 0], LOGITS, OFFSET)(program)
    logits = results(program, INPUTS)[1][..., [3, 0]]
    assert cut.outputs == (LOGITS,)
    assert np.abs(results(cut, INPUTS)[0] - logits).max() / np.abs(logits).max() < EXACT


def test_no_step_of_the_attributes_only_form_computes_the_offset() -> None:
    program = simplified(small_plain())
    cut = with_attributes_only([0], LOGITS, OFFSET)(program)
    gone = {step.output for step in program.steps} - {step.output for step in cut.steps}
    assert {OFFSET, "out.layers.0.fn.residual", "out.layers.0.fn.proj_out"} <= gone


def test_a_head_that_reads_something_else_cannot_be_cut() -> None:
    steps = (
        Step(Op.SILU, "a", ("m",)),
        Step(Op.ADD, "t", ("m", "a")),
        Step(Op.RESHAPE, "flat", ("t",), shape=(1, D)),
    )
    program = Program("m", D, (*steps, Step(Op.LINEAR, LOGITS, ("flat",), (np.eye(D),))), (LOGITS,))
    with pytest.raises(ValueError, match="not the sum"):
        with_attributes_only([0], LOGITS, OFFSET)(program)


def test_attention_over_something_else_is_refused() -> None:
    program = Program("m", D, (Step(Op.SILU, "a", ("m",)), Step(Op.ATTEND, "b", ("a",))), ("b",))
    with pytest.raises(ValueError, match="must be a linear step"):
        without_dead_attention(program)


def test_steps_without_effect_are_dropped() -> None:
    steps = (Step(Op.SILU, "a", ("m",)), Step(Op.GELU, "b", ("m",)))
    assert without_dead_steps(Program("m", D, steps, ("b",))).steps == steps[1:]
