"""Styles side by side."""

import numpy as np
import pytest

from export.paper_batching import with_batched_styles
from export.paper_export import simplified
from export.paper_program import Op, Program, Step
from tests.export.paper_small import measurements, relative_error, small_plain

CUT = (
    Step(Op.RESHAPE, "rows", ("m",), shape=(2, 3)),
    Step(Op.ROW, "r0", ("rows",), index=0),
    Step(Op.ROW, "r1", ("rows",), index=1),
)
INPUTS = measurements()


def program_of(*steps: Step) -> Program:
    return Program("m", 6, (*CUT, *steps), ("out",))


def linear(name: str, source: str, factor: float) -> Step:
    return Step(Op.LINEAR, name, (source,), (factor * np.eye(3),), (np.full(3, factor),))


def test_two_chains_become_one_over_rows() -> None:
    lanes = [
        (linear(f"a{row}", f"r{row}", 2 + row), Step(Op.SILU, f"b{row}", (f"a{row}",))) for row in range(2)
    ]
    ends = (Step(Op.STACK, "all", ("b0", "b1")), Step(Op.SILU, "out", ("all",)))
    program = program_of(*lanes[0], *lanes[1], *ends)
    batched = with_batched_styles(program)
    assert [step.op for step in batched.steps] == [Op.RESHAPE, Op.BLOCKS, Op.SILU, Op.SILU]
    assert relative_error(batched, program, INPUTS) < 1e-12


def test_styles_of_the_encoder_keep_no_step_of_their_own() -> None:
    steps = simplified(small_plain()).steps
    assert sum(step.op is Op.BLOCKS for step in steps) == 2 * (3 + 4 + 5) + 3
    assert sum(step.op is Op.LINEAR for step in steps) == 3 + 3 * 3 + 2 + 1
    assert sum(step.op is Op.STACK for step in steps) == 1


def test_a_chain_that_one_row_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="only 1 rows"):
        with_batched_styles(program_of(Step(Op.SILU, "out", ("r0",))))


def test_rows_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="expected row 0"):
        with_batched_styles(program_of(Step(Op.SILU, "b", ("r1",)), Step(Op.SILU, "out", ("r0",))))


def test_rows_stacked_in_another_order_are_refused() -> None:
    with pytest.raises(ValueError, match="all 2 rows of rows in order"):
        with_batched_styles(program_of(Step(Op.STACK, "out", ("r1", "r0"))))


def test_half_of_the_rows_are_no_whole_value() -> None:
    with pytest.raises(ValueError, match="all 2 rows of rows in order"):
        with_batched_styles(program_of(Step(Op.STACK, "out", ("r0",))))


def test_a_row_that_something_else_reads_is_refused() -> None:
    with pytest.raises(ValueError, match="too early"):
        with_batched_styles(program_of(Step(Op.GELU, "out", ("r0",))))


def test_styles_that_nothing_stacked_stay_as_they_are() -> None:
    program = small_plain()
    assert with_batched_styles(program).steps == program.steps
