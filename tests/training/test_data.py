"""The reader of data files."""

from pathlib import Path

import numpy as np
import pytest

from lsi.errors import ConfigError, DataError
from tests.training.scenes import NAMES, webp, write_faces, write_textures
from training.data import FaceData, open_data, tune_rows
from training.luminance import field_of_picture


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    return write_faces(tmp_path / "faces.npz", 8, 1)


def _rewritten(path: Path, **changed: object) -> Path:
    with np.load(path) as archive:
        fields = dict(archive) | changed
    np.savez(path, **{name: value for name, value in fields.items() if value is not None})
    return path


def test_rows_are_decoded_to_the_light_of_their_picture(faces: Path) -> None:
    data = open_data(faces)
    expected = np.stack([field_of_picture(data.picture(row)) for row in (5, 2)])
    assert np.array_equal(data.faces(("Smiling",), np.array([5, 2])).luminance, expected)


def test_pictures_come_back_in_order(tmp_path: Path) -> None:
    greys = [np.full((4, 4, 3), code, np.uint8) for code in (10, 200, 90)]
    streams = [webp(grey) for grey in greys]
    offsets = np.cumsum([0, *map(len, streams)])
    path = tmp_path / "greys.npz"
    np.savez(path, image_bytes=np.frombuffer(b"".join(streams), np.uint8), offsets=offsets)
    assert [int(open_data(path).picture(row)[0, 0, 0]) for row in range(3)] == [10, 200, 90]


def test_attributes_come_in_the_order_asked_for(faces: Path) -> None:
    both = open_data(faces).faces(("Extra", "Smiling"))
    with np.load(faces) as archive:
        columns = [NAMES.index("Extra"), NAMES.index("Smiling")]
        assert np.array_equal(both.attributes, archive["attributes"][:, columns])


def test_a_file_without_attributes_has_none(tmp_path: Path) -> None:
    data = open_data(write_textures(tmp_path / "textures.npz", 6, 1))
    assert data.attribute_names == ()
    assert data.faces().attributes.shape == (6, 0)
    assert data.identity.tolist() == [0, 0, 0, 1, 1, 1]


def test_opening_decodes_nothing(faces: Path) -> None:
    with np.load(faces) as archive:
        rubbish = np.zeros_like(archive["image_bytes"])
    data = open_data(_rewritten(faces, image_bytes=rubbish))
    assert len(data) == 8
    with pytest.raises(DataError, match="row 3 is not a readable picture"):
        data.picture(3)


def test_an_unknown_attribute_is_named_with_the_known_ones(faces: Path) -> None:
    with pytest.raises(ConfigError, match=r"'Wings'.*Smiling"):
        open_data(faces).faces(("Wings",))


def test_a_missing_file_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.npz"):
        open_data(tmp_path / "absent.npz")


def test_something_else_than_a_data_file_is_a_data_error(tmp_path: Path) -> None:
    path = tmp_path / "text.npz"
    path.write_text("no archive")
    with pytest.raises(DataError):
        open_data(path)


@pytest.mark.parametrize("field", ["image_bytes", "offsets"])
def test_a_missing_field_is_named(faces: Path, field: str) -> None:
    with pytest.raises(DataError, match=f"lacks the field {field}"):
        open_data(_rewritten(faces, **{field: None}))


def test_offsets_beyond_the_bytes_are_refused(faces: Path) -> None:
    with np.load(faces) as archive:
        offsets = archive["offsets"].copy()
    offsets[-1] += 1
    with pytest.raises(DataError, match="offsets"):
        open_data(_rewritten(faces, offsets=offsets))


def test_attributes_other_than_plus_and_minus_one_are_refused(faces: Path) -> None:
    with pytest.raises(DataError, match="attributes"):
        open_data(_rewritten(faces, attributes=np.zeros((8, 5), np.int8)))


def test_attributes_of_another_number_of_rows_are_refused(faces: Path) -> None:
    with pytest.raises(DataError, match="attributes"):
        open_data(_rewritten(faces, attributes=np.ones((7, 5), np.int8)))


def test_an_identity_of_another_length_is_refused(faces: Path) -> None:
    with pytest.raises(DataError, match="identity"):
        open_data(_rewritten(faces, identity=np.arange(3)))


@pytest.mark.parametrize("row", [-1, 8])
def test_a_row_outside_the_file_is_refused(faces: Path, row: int) -> None:
    with pytest.raises(DataError, match="no row"):
        open_data(faces).picture(row)


def test_a_person_is_never_in_both_halves() -> None:
    identity = np.random.default_rng(0).integers(0, 300, 2000)
    tune = tune_rows(identity)
    assert not set(identity[tune]) & set(identity[~tune])


def test_both_halves_have_about_half_of_the_people() -> None:
    assert 0.45 < tune_rows(np.arange(4000)).mean() < 0.55


def test_the_half_of_a_person_does_not_depend_on_the_file() -> None:
    # The split is part of every published figure: these people stay where they are.
    people = np.arange(12)
    expected = [False, False, True, False, False, False, True, True, False, False, False, False]
    assert tune_rows(people).tolist() == expected
    assert tune_rows(people[::-1]).tolist() == expected[::-1]


def test_face_data_shows_no_values(faces: Path) -> None:
    assert repr(open_data(faces).faces(("Smiling",))) == "FaceData(rows=8, attributes=1)"


def test_face_data_cannot_be_changed(faces: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        open_data(faces).faces().luminance[0, 0, 0] = 1.0


def test_rows_keep_their_own_labels(faces: Path) -> None:
    data = open_data(faces).faces(("Smiling",))
    chosen = np.arange(8) % 3 == 0
    part = data.rows(chosen)
    assert np.array_equal(part.luminance, data.luminance[chosen])
    assert np.array_equal(part.attributes, data.attributes[chosen])
    assert np.array_equal(part.identity, data.identity[chosen])


def test_attributes_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="attributes"):
        FaceData(np.zeros((2, 64, 64), np.float32), np.ones((2, 2), np.int8), ("Smiling",), np.arange(2))
