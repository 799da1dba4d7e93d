"""Latent spaces and offsets as values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsi.errors import ShapeMismatchError
from lsi.latent import LatentForm, LatentOffset, LatentSpace

FORM = LatentForm("faces", 2, 3, "0" * 64)


def _space(mean: np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None = None) -> LatentSpace:
    return LatentSpace("faces", np.arange(6, dtype=np.float32).reshape(2, 3) if mean is None else mean)


@given(st.integers(1, 20), st.integers(1, 40))
def test_any_number_of_layers_and_any_width_will_do(layers: int, width: int) -> None:
    space = LatentSpace("any", np.ones((layers, width), np.float32))
    assert space.form.shape == (layers, width)
    assert space.latents(np.ones((3, layers, width), np.float32)).shape == (3, layers, width)


def test_the_decoder_reads_mean_plus_offset() -> None:
    offsets = np.full((1, 2, 3), 10, np.float32)
    assert _space().latents(offsets)[0].tolist() == [[10, 11, 12], [13, 14, 15]]


def test_the_digest_tells_spaces_apart() -> None:
    mean = np.arange(6, dtype=np.float32).reshape(2, 3)
    digests = {
        _space().form.digest,
        LatentSpace("other", mean).form.digest,
        LatentSpace("faces", mean.reshape(3, 2)).form.digest,
        LatentSpace("faces", mean + 1).form.digest,
    }
    assert len(digests) == 4
    assert LatentSpace("faces", mean.copy()).form.digest == _space().form.digest


def test_offsets_of_another_shape_are_refused() -> None:
    with pytest.raises(ShapeMismatchError, match="do not fit"):
        _space().latents(np.zeros((1, 3, 2), np.float32))


@pytest.mark.parametrize(
    ("name", "layers", "width", "digest"),
    [
        ("Faces", 2, 3, "0" * 64),
        ("", 2, 3, "0" * 64),
        ("faces", 0, 3, "0" * 64),
        ("faces", 65, 3, "0" * 64),
        ("faces", 2, 1025, "0" * 64),
        ("faces", 2, 3, "0" * 63),
        ("faces", 2, 3, "G" * 64),
    ],
)
def test_a_form_out_of_range_is_refused(name: str, layers: int, width: int, digest: str) -> None:
    with pytest.raises(ValueError, match="latent"):
        LatentForm(name, layers, width, digest)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    values = np.full((2, 3), bad, np.float32)
    with pytest.raises(ValueError, match="finite"):
        _space(values)
    with pytest.raises(ValueError, match="finite"):
        LatentOffset(values, FORM)


def test_an_offset_has_the_shape_of_its_form() -> None:
    with pytest.raises(ValueError, match="shape"):
        LatentOffset(np.zeros((3, 2), np.float32), FORM)


def test_nothing_shows_a_number_of_a_latent() -> None:
    values = np.full((2, 3), 0.123, np.float32)
    assert "0.12" not in repr(LatentOffset(values, FORM)) + repr(_space(values))


def test_an_offset_cannot_be_changed_afterwards() -> None:
    values = np.zeros((2, 3), np.float32)
    offset = LatentOffset(values, FORM)
    values[:] = 1
    assert not offset.values.any()
    with pytest.raises(ValueError, match="read-only"):
        offset.values[0, 0] = 1
