"""What every ``LightSource`` promises."""

import io
from collections.abc import Callable

import numpy as np
import pytest

from firmware.sim.light import (
    ChangingLight,
    FlickeringLight,
    LightSequence,
    LightSource,
    LightStream,
    StillLight,
    encode_light_frame,
    smooth_field,
)

FIELD = smooth_field()
SOURCES: list[Callable[[], LightSource]] = [
    lambda: StillLight(FIELD),
    lambda: LightStream(io.BytesIO(encode_light_frame(FIELD))),
    lambda: LightSequence([FIELD]),
    lambda: FlickeringLight(LightSequence([FIELD]), depth=0.5),
]


@pytest.mark.parametrize("make", SOURCES)
def test_after_the_first_advance_the_scene_is_shown(make: Callable[[], LightSource]) -> None:
    source = make()
    assert source.advance()
    assert np.array_equal(source.field, FIELD)


@pytest.mark.parametrize("make", SOURCES)
def test_the_revision_changes_with_the_field(make: Callable[[], LightSource]) -> None:
    source = make()
    before_field, before = source.field, source.revision
    source.advance()
    assert (source.revision != before) or np.array_equal(source.field, before_field)


@pytest.mark.parametrize("make", SOURCES)
def test_at_the_end_the_last_scene_stays(make: Callable[[], LightSource]) -> None:
    source = make()
    source.advance()
    source.advance()
    assert np.array_equal(source.field, FIELD)


@pytest.mark.parametrize("make", SOURCES)
def test_only_light_that_says_so_changes_and_never_below_darkness(make: Callable[[], LightSource]) -> None:
    source = make()
    if isinstance(source, ChangingLight):
        assert min(source.factor_at(now_ns) for now_ns in range(0, 10**10, 10**7)) >= 0
    else:
        assert not hasattr(source, "factor_at")
