import pytest

from lsi.errors import (
    BusError,
    BusErrorKind,
    ExposureError,
    FrameError,
    LowLightError,
    LsiError,
    SaturationError,
    ScanError,
    TriggerCountError,
    TriggerTimeoutError,
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
        (ScanError("x"), Problem.SCAN_FAILED),
    ],
)
def test_each_failed_scan_has_its_code(error: LsiError, problem: Problem) -> None:
    assert problem_of(error) is problem


def test_each_code_comes_with_advice() -> None:
    assert set(ADVICE) == set(Problem)
