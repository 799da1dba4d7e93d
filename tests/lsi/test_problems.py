import pytest

from lsi.errors import (
    BusError,
    BusErrorKind,
    ExposureError,
    FrameError,
    LowLightError,
    LsiError,
    Part,
    SaturationError,
    ScanError,
    TriggerCountError,
    TriggerTimeoutError,
    UnsteadySceneError,
)
from lsi.problems import ADVICE, Problem, problem_of


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (SaturationError("x"), Problem.SATURATED),
        (LowLightError("x"), Problem.LOW_LIGHT),
        (TriggerTimeoutError("x"), Problem.MASK_MISSING),
        (TriggerCountError("x"), Problem.MASK_MISSING),
        (ExposureError("x"), Problem.CONVERSION_OUTSIDE_EXPOSURE),
        (BusError("x", kind=BusErrorKind.TIMEOUT), Problem.MODULATOR_OR_CONVERTER),
        (FrameError("x"), Problem.MODULATOR_OR_CONVERTER),
        (UnsteadySceneError("x"), Problem.UNSTEADY),
        (ScanError("x"), Problem.SCAN_FAILED),
    ],
)
def test_each_failed_scan_has_its_code(error: LsiError, problem: Problem) -> None:
    assert problem_of(error) is problem


@pytest.mark.parametrize("part", list(Part))
def test_a_failure_that_names_its_part_is_reported_as_that_part(part: Part) -> None:
    for error in (BusError("x", kind=BusErrorKind.TIMEOUT), FrameError("x")):
        error.part = part
        assert problem_of(error).value == part.value


def test_each_code_comes_with_advice() -> None:
    assert set(ADVICE) == set(Problem)
