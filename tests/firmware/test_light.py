import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from firmware.sim.light import LightStream, StillLight, encode_light_frame, smooth_field
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
