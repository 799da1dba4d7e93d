"""From a board file to a working acquisition, for every converter: the ratio of the arms comes out."""

from dataclasses import replace

import numpy as np
import pytest

from firmware.acquisition.correction import correct
from firmware.acquisition.stepped import SteppedAcquisition
from firmware.boards.board import Board, find_board
from firmware.factory import open_rig
from firmware.sim.light import StillLight, smooth_field
from lsi.errors import BoardConfigError
from lsi.measurement import ArmLayout
from lsi.patterns import PatternSet

PATTERNS = PatternSet(np.random.default_rng(3).random((5, 64, 64)) < 0.5)
FIELD = smooth_field()
SIGNS = np.where(PATTERNS.masks, 1.0, -1.0).reshape(len(PATTERNS), -1)
RATIOS = SIGNS @ FIELD.reshape(-1).astype(np.float64) / FIELD.sum(dtype=np.float64)


def stepped_board(kind: str, *, vref_v: float, spi_hz: int = 10_000_000, channels: int = 2) -> Board:
    """The simulated stepped board with another converter; one arm where it has one input."""
    board = find_board("sim-mcp3208")
    assert board.converter is not None
    one = channels == 1
    wiring = replace(
        board.converter, kind=kind, spi_hz=spi_hz, spi_mode=0, arm_minus_channel=None if one else 1
    )
    sensor = replace(board.sensor, adc_bits=16, vref_v=vref_v, voltage_gain=5.0)
    layout = ArmLayout.COMPLEMENTARY if one else ArmLayout.TWO
    return replace(board, converter=wiring, sensor=sensor, layout=layout)


CONVERTERS = [
    stepped_board("ad7380", vref_v=5.0),
    stepped_board("ad7383", vref_v=2.5),
    stepped_board("ad7383-4", vref_v=2.5),
    stepped_board("ad7383", vref_v=2.5, spi_hz=20_000_000),
    stepped_board("ads8681", vref_v=5.12, channels=1),
    stepped_board("ads8689", vref_v=5.12, channels=1),
]


@pytest.mark.parametrize(
    "board", CONVERTERS, ids=lambda board: f"{board.converter.kind}-{board.converter.spi_hz}"
)
def test_every_converter_measures_the_ratio_of_the_arms(board: Board) -> None:
    with open_rig(board, StillLight(FIELD)) as rig:
        rig.load(PATTERNS)
        values = correct(*rig.scan(PATTERNS)).values
    assert np.abs(values - RATIOS).max() < 1e-2


@pytest.mark.parametrize(("kind", "vref_v"), [("ad7380", 5.0), ("ad7383", 2.5)])
def test_counts_span_what_the_board_file_says(kind: str, vref_v: float) -> None:
    # A differential part spans its reference both ways.
    with open_rig(stepped_board(kind, vref_v=vref_v)) as rig:
        acquisition = rig.parts.acquisition
        assert isinstance(acquisition, SteppedAcquisition)
        assert acquisition.detector.scale.v_per_count * 65_536 == pytest.approx(vref_v)


def test_a_filter_that_does_not_settle_in_time_is_refused() -> None:
    board = stepped_board("ads8681", vref_v=5.12, channels=1)
    fast = replace(board, plan=replace(board.plan, settle_ns=20_000, exposure_ns=105_000))
    with pytest.raises(BoardConfigError, match="filter of 15 kHz"):
        open_rig(fast)
