"""Decoding of pictures."""

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lsi.errors import DataError
from tests.training.layouts import drawn, encoded
from training.data_sets import pictures
from training.data_sets.pictures import PictureFiles, field_of_row, rgb_picture

SCENE = drawn(1, 96, 96)


def _read(stream: bytes) -> np.ndarray:
    return rgb_picture(io.BytesIO(stream), "scene: row 0")


def _saved(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_pictures_come_back_as_they_are(form: str) -> None:
    assert np.array_equal(_read(encoded(SCENE, form)), SCENE)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_other_modes_become_rgb(mode: str) -> None:
    image = Image.fromarray(SCENE).convert(mode)
    assert np.array_equal(_read(_saved(image, "PNG")), np.asarray(image.convert("RGB")))


def test_a_picture_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = _saved(Image.fromarray(SCENE), "PNG", exif=exif)
    # EXIF 2.32, orientation 6: the first row is the right side.
    assert np.array_equal(_read(stream), np.rot90(SCENE, -1))


def test_more_than_eight_bits_are_refused() -> None:
    deep = Image.fromarray(np.arange(96 * 96, dtype=np.uint16).reshape(96, 96))
    with pytest.raises(DataError, match=r"scene: row 0 has more than 8 bits a channel \(mode I;16\)"):
        _read(_saved(deep, "PNG"))


@pytest.mark.parametrize("form", ["EPS", "TGA", "ICO"])
def test_other_formats_are_refused(form: str) -> None:
    # EPS is a program; the others show that the list decides, not what else is missing.
    with pytest.raises(DataError, match="not a readable picture"):
        _read(_saved(Image.fromarray(SCENE), form))


def test_a_huge_picture_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_PIXELS", 96 * 95)
    header = encoded(SCENE)[:60]
    with pytest.raises(DataError, match="has 96 x 96 pixels, over 9120"):
        _read(header + bytes(200))


@pytest.mark.parametrize("size_px", [10_000, 40_000])
def test_a_decompression_bomb_is_refused(size_px: int) -> None:
    bomb = bytearray(encoded(SCENE))
    bomb[16:24] = size_px.to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4, "big")
    with pytest.raises(DataError, match="DecompressionBomb"):
        _read(bytes(bomb))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_large_header_is_refused_where_pillow_only_warns() -> None:
    large = bytearray(encoded(SCENE))
    large[16:24] = (10_000).to_bytes(4, "big") * 2
    large[29:33] = zlib.crc32(large[12:29]).to_bytes(4, "big")
    with pytest.raises(DataError, match="has 10000 x 10000 pixels, over 25000000"):
        _read(bytes(large))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "GIF"])
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_a_picture_cut_short_is_refused(form: str) -> None:
    stream = encoded(SCENE, form)
    for end in (0, 1, len(stream) // 3, len(stream) // 2):
        with pytest.raises(DataError, match="scene: row 0"):
            _read(stream[:end])


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM"])
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=60)
@given(data=st.data())
def test_damaged_bytes_give_a_picture_or_a_data_error(form: str, data: st.DataObject) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    options = {"exif": exif} if form in {"JPEG", "PNG", "WEBP"} else {}
    stream = bytearray(_saved(Image.fromarray(SCENE[:32, :32]), form, **options))
    places = st.integers(0, min(200, len(stream) - 1))
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=4)):
        stream[place] = value
    try:
        assert _read(bytes(stream)).shape[2] == 3
    except DataError as error:
        assert "scene: row 0" in error.found  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    ("width", "height", "message"),
    [
        (80, 70, "has 80 x 70 pixels; a field is square.*cut"),
        (63, 63, "63 x 63 pixels, fewer than the field"),
    ],
)
def test_what_does_not_fill_a_field_is_refused(tmp_path: Path, width: int, height: int, message: str) -> None:
    (tmp_path / "a.png").write_bytes(encoded(drawn(0, width, height)))
    with pytest.raises(DataError, match=message):
        field_of_row(PictureFiles(tmp_path, ("a.png",)), 0)


def test_a_file_that_went_away_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.png: row 0 cannot be read \(No such file"):
        PictureFiles(tmp_path, ("a.png",)).picture(0)


def test_no_file_stays_open(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(SCENE))
    (tmp_path / "b.png").write_bytes(b"rubbish")
    source = PictureFiles(tmp_path, ("a.png", "b.png"))
    before = set(Path("/proc/self/fd").iterdir())
    source.picture(0)
    with pytest.raises(DataError):
        source.picture(1)
    assert set(Path("/proc/self/fd").iterdir()) == before
