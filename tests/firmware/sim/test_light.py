import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from firmware.sim.light import FlickeringLight, LightStream, StillLight, encode_light_frame, smooth_field
from lsi.errors import FrameError

FIELDS = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.floats(0, 100, width=32)
)


@given(st.lists(FIELDS, min_size=1, max_size=3))
def test_frames_are_read_in_order_and_the_last_one_stays(fields: list[NDArray[np.float32]]) -> None:
    light = LightStream(io.BytesIO(b"".join(map(encode_light_frame, fields))))
    for number, field in enumerate(fields, start=1):
        assert light.advance()
        assert np.array_equal(light.field, field)
        assert light.revision == number
    assert not light.advance()
    assert np.array_equal(light.field, fields[-1])


def test_before_the_first_frame_it_is_dark() -> None:
    assert not LightStream(io.BytesIO(b"")).field.any()


@given(FIELDS, st.data())
def test_a_frame_that_is_cut_off_is_refused(field: NDArray[np.float32], data: st.DataObject) -> None:
    frame = encode_light_frame(field)
    cut = data.draw(st.integers(1, len(frame) - 1))
    with pytest.raises(FrameError, match="cut off"):
        LightStream(io.BytesIO(frame[:cut])).advance()


@given(st.binary(max_size=100))
def test_any_bytes_are_a_frame_the_end_or_refused(noise: bytes) -> None:
    light = LightStream(io.BytesIO(noise))
    try:
        light.advance()
    except FrameError:
        return
    assert light.field.min() >= 0


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), 1e9])
def test_light_that_cannot_be_is_refused(value: float) -> None:
    field = np.full((2, 2), value, np.float32)
    frame = b"LSIL\x02\x00\x02\x00" + field.tobytes()
    with pytest.raises(FrameError, match="Luminance"):
        LightStream(io.BytesIO(frame)).advance()
    with pytest.raises(FrameError, match="Luminance"):
        StillLight(field)


@pytest.mark.parametrize(
    "header", ["4C 53 49 4C 00 00 01 00", "4C 53 49 4C 01 04 01 00", "4C 53 49 4D 01 00 01 00"]
)
def test_a_header_with_another_magic_or_size_is_refused(header: str) -> None:
    with pytest.raises(FrameError, match="Not a light frame"):
        LightStream(io.BytesIO(bytes.fromhex(header) + bytes(64))).advance()


def test_a_still_light_never_ends() -> None:
    light = StillLight(smooth_field())
    assert light.advance()
    assert light.advance()
    assert light.revision == 0


STILL = StillLight(smooth_field())


def test_a_steady_lamp_changes_nothing() -> None:
    assert FlickeringLight(STILL).factor_at(1_234_567) == 1


def test_a_flickering_lamp_is_brightest_a_quarter_of_a_period_after_the_start() -> None:
    lamp = FlickeringLight(STILL, flicker_hz=100, depth=0.2)
    assert lamp.factor_at(2_500_000) == pytest.approx(1.2)
    assert lamp.factor_at(7_500_000) == pytest.approx(0.8)
    assert lamp.factor_at(12_500_000) == pytest.approx(1.2)


def test_a_pulsed_lamp_knows_two_levels() -> None:
    lamp = FlickeringLight(STILL, flicker_hz=1_000, depth=0.3, pulsed=True)
    assert {round(lamp.factor_at(now_ns), 9) for now_ns in range(100, 10**7, 333)} == {0.7, 1.3}


def test_a_lamp_drifts_and_goes_out() -> None:
    lamp = FlickeringLight(STILL, drift_per_s=-0.1, off_from_ns=5 * 10**9)
    assert lamp.factor_at(2 * 10**9) == pytest.approx(0.8)
    assert lamp.factor_at(5 * 10**9) == 0


@pytest.mark.parametrize(("depth", "flicker_hz"), [(1.1, 100), (-0.1, 100), (0.5, -1)])
def test_a_lamp_that_cannot_be_is_refused(depth: float, flicker_hz: float) -> None:
    with pytest.raises(ValueError, match="depth"):
        FlickeringLight(STILL, flicker_hz, depth)
