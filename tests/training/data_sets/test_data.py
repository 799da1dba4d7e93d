"""The reader of data files."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from lsi.errors import ConfigError, DataError
from tests.training.scenes import NAMES, webp, write_faces, write_textures
from training.data_sets.data import FaceData, check_two_classes, open_data, tune_rows
from training.data_sets.luminance import field_of_picture


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


@pytest.mark.parametrize("label", [2, -2, 0.5, np.nan, True, 257])
def test_attributes_other_than_yes_no_and_unknown_are_refused(faces: Path, label: float) -> None:
    with pytest.raises(DataError, match="attributes"):
        open_data(_rewritten(faces, attributes=np.full((8, 5), label)))


def test_unknown_attributes_stay_unknown(faces: Path) -> None:
    attributes = np.where(np.arange(40).reshape(8, 5) % 3 == 0, 0, -1).astype(np.int8)
    data = open_data(_rewritten(faces, attributes=attributes))
    assert np.array_equal(data.faces(NAMES).attributes, attributes)


def test_zeros_for_no_are_refused(faces: Path) -> None:
    attributes = np.arange(40).reshape(8, 5) % 2
    with pytest.raises(DataError, match=r"stands for unknown, but no -1\. Try: write -1 for no"):
        open_data(_rewritten(faces, attributes=attributes))


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


def test_progress_counts_the_rows(tmp_path: Path) -> None:
    data = open_data(write_faces(tmp_path / "many.npz", 150, 1))
    told: list[tuple[int, int]] = []
    data.faces(rows=np.arange(140), progress=lambda done, total: told.append((done, total)))
    assert told == [(64, 140), (128, 140), (140, 140)]


def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    data = open_data(write_faces(tmp_path / "many.npz", 150, 1))
    told: list[tuple[int, int]] = []
    alone = data.faces(("Smiling",))
    together = data.faces(("Smiling",), workers=3, progress=lambda done, total: told.append((done, total)))
    assert np.array_equal(alone.luminance, together.luminance)
    assert told == [(64, 150), (128, 150), (150, 150)]


def test_a_damaged_picture_stops_all_workers(tmp_path: Path) -> None:
    path = write_faces(tmp_path / "many.npz", 150, 1)
    with np.load(path) as archive:
        image_bytes, offsets = archive["image_bytes"].copy(), archive["offsets"]
    image_bytes[offsets[70] : offsets[71]] = 0
    data = open_data(_rewritten(path, image_bytes=image_bytes))
    with pytest.raises(DataError, match=r"many\.npz: row 70 is not a readable picture"):
        data.faces(workers=2)


def test_fewer_than_one_worker_is_refused(faces: Path) -> None:
    with pytest.raises(ConfigError, match="workers is 0"):
        open_data(faces).faces(workers=0)


def test_no_row_at_all_is_refused(faces: Path) -> None:
    with pytest.raises(DataError, match="No row"):
        open_data(faces).faces(rows=np.arange(0))


@pytest.mark.parametrize(
    ("shape", "message"),
    [((64, 80, 3), "row 0 has 80 x 64 pixels; a field is square"), ((32, 32, 3), "fewer than the field")],
)
def test_a_packed_picture_must_fill_the_field(
    tmp_path: Path, shape: tuple[int, int, int], message: str
) -> None:
    stream = webp(np.zeros(shape, np.uint8))
    path = tmp_path / "odd.npz"
    np.savez(path, image_bytes=np.frombuffer(stream, np.uint8), offsets=np.array([0, len(stream)]))
    with pytest.raises(DataError, match=message):
        open_data(path).field(0)


def test_image_bytes_of_another_type_are_refused(faces: Path) -> None:
    with pytest.raises(DataError, match="image_bytes is int16"):
        open_data(_rewritten(faces, image_bytes=np.zeros(9, np.int16)))


def test_a_part_of_a_data_file_is_the_whole_file(faces: Path) -> None:
    assert len(open_data(faces, "val")) == len(open_data(faces)) == 8


def test_an_unknown_part_is_refused(faces: Path) -> None:
    with pytest.raises(ConfigError, match=r"Part 'dev'.*train, val, test"):
        open_data(faces, "dev")


def test_a_folder_of_neither_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not of CelebA.*for your own pictures, their \.csv"):
        open_data(tmp_path)


def test_the_digest_is_that_of_the_file(faces: Path) -> None:
    data = open_data(faces)
    assert data.digest() == hashlib.sha256(faces.read_bytes()).hexdigest()
    faces.unlink()
    with pytest.raises(DataError, match="cannot be read any more"):
        data.digest()


def test_attributes_with_one_answer_are_named() -> None:
    answers = np.array([[1, -1, 0, 1], [1, -1, 0, -1], [0, -1, 0, 0]], np.int8)
    data = FaceData(np.zeros((3, 64, 64), np.float32), answers, ("A", "B", "C", "D"), np.arange(3))
    with pytest.raises(DataError, match=r"3 of 4 .*A \(2 yes, 0 no\), B \(0 yes, 3 no\), C \(0 yes, 0 no\)"):
        check_two_classes(data)


def test_attributes_with_both_answers_pass(faces: Path) -> None:
    check_two_classes(open_data(faces).faces(("Smiling",)))
    check_two_classes(open_data(faces).faces())


def test_what_can_still_be_changed_is_copied() -> None:
    light = np.zeros((2, 64, 64), np.float32)
    view = light[:]
    view.flags.writeable = False
    kept = [FaceData(each, np.empty((2, 0), np.int8), (), np.arange(2)) for each in (light, view)]
    light += 1
    assert [float(each.luminance.max()) for each in kept] == [0.0, 0.0]


@pytest.mark.parametrize("shape", [(2, 64, 32), (0, 64, 64), (2, 64)])
def test_read_only_light_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    light = np.zeros(shape, np.float32)
    light.flags.writeable = False
    with pytest.raises(ValueError, match="luminance must be"):
        FaceData(light, np.empty((shape[0], 0), np.int8), (), np.arange(shape[0]))
