"""CelebA and CelebA-HQ in their published file layouts."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsi.errors import DataError
from tests.training.layouts import (
    LABELS,
    ORIGINALS,
    answers,
    attribute_text,
    drawn,
    encoded,
    mapping_text,
    numbers_text,
    write_celeba,
    write_celeba_hq,
)
from training.data_sets.celeba_layout import ALIGNED_CROP, parse_attribute_list, parse_mapping, parse_numbers
from training.data_sets.data import open_data
from training.data_sets.luminance import field_of_picture

ATTRIBUTES = "list_attr_celeba.txt"
PARTITION = "list_eval_partition.txt"
MAPPING = "CelebA-HQ-to-CelebA-mapping.txt"


@pytest.fixture
def celeba(tmp_path: Path) -> Path:
    return write_celeba(tmp_path / "celeba")


@pytest.fixture
def celeba_hq(tmp_path: Path) -> Path:
    return write_celeba_hq(tmp_path / "hq")


def _edited(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_every_row_has_its_own_labels_and_person(celeba: Path) -> None:
    data = open_data(celeba)
    assert data.attribute_names == LABELS
    assert np.array_equal(data.attributes, answers(10))
    assert data.identity.tolist() == [100 + row // 2 for row in range(10)]


@pytest.mark.parametrize(
    ("part", "rows"), [("train", range(6)), ("val", range(6, 8)), ("test", range(8, 10)), (None, range(10))]
)
def test_the_official_partition_chooses_the_rows(celeba: Path, part: str | None, rows: range) -> None:
    data = open_data(celeba, part)
    assert np.array_equal(data.attributes, answers(10)[list(rows)])
    assert np.array_equal(data.picture(0), open_data(celeba).picture(rows[0]))


def test_aligned_pictures_are_cut_to_the_frame_of_celeba_hq(celeba: Path) -> None:
    data = open_data(celeba)
    assert np.array_equal(data.picture(3), drawn(3, 178, 218)[35:195, 9:169])
    assert np.array_equal(data.field(3), field_of_picture(drawn(3, 178, 218)[35:195, 9:169]))


def test_the_crop_puts_the_eyes_where_celeba_hq_has_them() -> None:
    # From pixel centres of CelebA's mean eyes to pixel centres of a frame of 128; data-layout.md.
    eyes = np.array([[69.0, 111.0], [108.0, 111.0]])
    corner = np.array([ALIGNED_CROP.left_px, ALIGNED_CROP.top_px])
    framed = (eyes + 0.5 - corner) * 128 / ALIGNED_CROP.side_px - 0.5
    assert framed == pytest.approx(np.array([[48.0, 60.5], [79.0, 60.6]]), abs=0.25)


@pytest.mark.parametrize("place", ["Img/img_align_celeba", "img_align_celeba"])
def test_lists_may_lie_in_anno_and_eval(tmp_path: Path, place: str) -> None:
    folder = write_celeba(tmp_path / "celeba", pictures=place)
    expected = open_data(folder).attributes
    for name, home in ((ATTRIBUTES, "Anno"), ("identity_CelebA.txt", "Anno"), (PARTITION, "Eval")):
        (folder / home).mkdir(exist_ok=True)
        (folder / name).rename(folder / home / name)
    data = open_data(folder)
    assert np.array_equal(data.attributes, expected)
    assert data.identity[0] == 100


def test_without_the_identity_list_every_picture_is_its_own_person(celeba: Path) -> None:
    (celeba / "identity_CelebA.txt").unlink()
    assert open_data(celeba).identity.tolist() == list(range(10))


def test_a_picture_of_another_size_is_named(celeba: Path) -> None:
    (celeba / "img_align_celeba" / "000002.jpg").write_bytes(encoded(drawn(1, 218, 218)))
    with pytest.raises(DataError, match=r"000002\.jpg: row 1 has 218 x 218 pixels, not 178 x 218"):
        open_data(celeba).field(1)


def test_missing_pictures_are_counted_and_named(celeba: Path) -> None:
    for name in ("000002.jpg", "000003.jpg", "000005.jpg", "000009.jpg"):
        (celeba / "img_align_celeba" / name).unlink()
    with pytest.raises(DataError, match=r"'000002.jpg', '000003.jpg', '000005.jpg', \.\.\., 4 of 10 files"):
        open_data(celeba)


def test_only_the_pictures_of_the_part_must_be_there(celeba: Path) -> None:
    (celeba / "img_align_celeba" / "000001.jpg").unlink()
    assert len(open_data(celeba, "val")) == 2


def test_a_picture_folder_on_another_disk_may_be_a_link(celeba: Path, tmp_path: Path) -> None:
    (celeba / "img_align_celeba").rename(tmp_path / "elsewhere")
    (celeba / "img_align_celeba").symlink_to(tmp_path / "elsewhere")
    assert len(open_data(celeba)) == 10


@pytest.mark.parametrize("name", [ATTRIBUTES, PARTITION])
def test_a_missing_list_is_named(celeba: Path, name: str) -> None:
    (celeba / name).unlink()
    with pytest.raises(DataError, match=f"lacks {name}"):
        open_data(celeba)


def test_a_truncated_attribute_list_is_refused(celeba: Path) -> None:
    text = (celeba / ATTRIBUTES).read_text()
    (celeba / ATTRIBUTES).write_text(text[: text.index("000008.jpg")])
    with pytest.raises(DataError, match="line 1 says '10' rows, 7 follow"):
        open_data(celeba)


def test_a_row_cut_short_is_refused_with_its_line(celeba: Path) -> None:
    text = (celeba / ATTRIBUTES).read_text().rstrip()
    (celeba / ATTRIBUTES).write_text(text[:-3])
    with pytest.raises(DataError, match="line 12 is not a file and 2 labels"):
        open_data(celeba)


@pytest.mark.parametrize("label", [" 0", " 2", " x", "1.0"])
def test_labels_other_than_one_and_minus_one_are_refused(celeba: Path, label: str) -> None:
    _edited(celeba / ATTRIBUTES, "000001.jpg  1", f"000001.jpg {label}")
    with pytest.raises(DataError, match="line 3 is not a file and 2 labels"):
        open_data(celeba)


def test_a_file_listed_twice_is_refused(celeba: Path) -> None:
    _edited(celeba / ATTRIBUTES, "000002.jpg", "000001.jpg")
    with pytest.raises(DataError, match=r"'000001.jpg' twice"):
        open_data(celeba)


@pytest.mark.parametrize("name", ["../../secret.jpg", "/etc/passwd", "..", ".hidden"])
def test_a_name_that_leads_elsewhere_is_refused(celeba: Path, name: str) -> None:
    _edited(celeba / ATTRIBUTES, "000001.jpg", name)
    with pytest.raises(DataError, match="no plain file name"):
        open_data(celeba)


def test_a_picture_that_is_a_link_out_of_the_folder_is_refused(celeba: Path, tmp_path: Path) -> None:
    picture = celeba / "img_align_celeba" / "000004.jpg"
    picture.rename(tmp_path / "outside.jpg")
    picture.symlink_to(tmp_path / "outside.jpg")
    with pytest.raises(DataError, match=r"'000004.jpg' leads out"):
        open_data(celeba)


def test_a_partition_of_other_pictures_is_refused(celeba: Path) -> None:
    _edited(celeba / PARTITION, "000003.jpg", "900003.jpg")
    with pytest.raises(DataError, match=r"names '900003.jpg', which list_attr_celeba.txt lacks"):
        open_data(celeba)


def test_a_partition_that_leaves_pictures_out_is_refused(celeba: Path) -> None:
    _edited(celeba / PARTITION, "000010.jpg 2\n", "")
    with pytest.raises(DataError, match=r"lacks '000010.jpg' of the attribute list \(1 rows\)"):
        open_data(celeba)


def test_a_part_of_another_number_is_refused(celeba: Path) -> None:
    _edited(celeba / PARTITION, "000010.jpg 2", "000010.jpg 3")
    with pytest.raises(DataError, match="holds the part 3"):
        open_data(celeba)


def test_a_partition_without_train_is_refused(celeba: Path) -> None:
    (celeba / PARTITION).write_text((celeba / PARTITION).read_text().replace(" 0\n", " 1\n"))
    with pytest.raises(DataError, match="no picture into train"):
        open_data(celeba)


def test_high_quality_pictures_follow_the_partition_of_their_originals(celeba_hq: Path) -> None:
    # 162770 and 182637 are the first original indices of val and test.
    rows = {part: open_data(celeba_hq, part).identity - 50 for part in ("train", "val", "test")}
    assert {part: each.tolist() for part, each in rows.items()} == {
        "train": [0, 1, 5],
        "val": [2, 3],
        "test": [4],
    }


def test_high_quality_pictures_are_not_cut(celeba_hq: Path) -> None:
    data = open_data(celeba_hq)
    assert np.array_equal(data.picture(2), drawn(2, 128, 128))
    assert np.array_equal(data.attributes, answers(6))


def test_high_quality_pictures_may_take_labels_from_celebas_list(celeba_hq: Path) -> None:
    (celeba_hq / "CelebAMask-HQ-attribute-anno.txt").unlink()
    order = [5, 0, 1, 2, 3, 4]
    originals = [f"{ORIGINALS[row] + 1:06d}.jpg" for row in order]
    text = attribute_text([*originals, "000007.jpg"], np.vstack((answers(6)[order], [[1, 1]])))
    (celeba_hq / ATTRIBUTES).write_text(text)
    data = open_data(celeba_hq)
    assert np.array_equal(data.attributes, answers(6))
    assert np.array_equal(data.picture(5), drawn(5, 128, 128))
    _edited(celeba_hq / ATTRIBUTES, "119614.jpg", "119615.jpg")
    with pytest.raises(DataError, match=r"lacks '119614.jpg' of the mapping"):
        open_data(celeba_hq)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("orig_idx", "original", "does not begin with the columns idx orig_idx orig_file"),
        ("119614.jpg", "119615.jpg", "line 2 repeats a picture, or its index and file do not fit"),
        ("1           162769", "0           162769", "line 3 repeats a picture"),
        ("119614.jpg", "", "line 2 is not a row of the mapping"),
        ("3           182636      182637.jpg\n", "", r"lacks '3\.jpg' of CelebAMask-HQ-attribute-anno"),
    ],
)
def test_a_damaged_mapping_is_refused(celeba_hq: Path, old: str, new: str, message: str) -> None:
    _edited(celeba_hq / MAPPING, old, new)
    with pytest.raises(DataError, match=message):
        open_data(celeba_hq)


def test_both_data_sets_in_one_folder_are_refused(celeba_hq: Path) -> None:
    (celeba_hq / "img_align_celeba").mkdir()
    with pytest.raises(DataError, match="more than one folder"):
        open_data(celeba_hq)


def test_the_mapping_with_checksums_is_read_too() -> None:
    text = "idx orig_idx orig_file proc_md5 final_md5\n0 119613 119614.jpg 0be7 d76e\n"
    assert parse_mapping(text, "mapping")["0.jpg"].index == 119_613


_WORDS = st.sampled_from(
    ["1", "-1", "0", "2", "000001.jpg", "000002.jpg", "119613", "119614.jpg", "idx", "é"]
)
_LISTS = st.one_of(
    st.text(max_size=200),
    st.lists(st.lists(_WORDS, max_size=5), max_size=6).map(lambda rows: "\n".join(map(" ".join, rows))),
)


@given(_LISTS)
def test_any_text_is_a_list_or_a_data_error(text: str) -> None:
    for parse in (parse_attribute_list, parse_numbers, parse_mapping):
        with contextlib.suppress(DataError):
            parse(text, "list")


@given(st.lists(st.sampled_from([-1, 1]), min_size=2, max_size=40), st.data())
def test_what_was_written_is_read(labels: list[int], data: st.DataObject) -> None:
    columns = data.draw(st.integers(1, 2))
    values = np.array(labels[: len(labels) // columns * columns], np.int8).reshape(-1, columns)
    files = tuple(f"{row:06d}.jpg" for row in range(len(values)))
    listed = parse_attribute_list(attribute_text(files, values, LABELS[:columns]), "list")
    assert listed.files == files
    assert np.array_equal(listed.attributes, values)
    assert parse_numbers(numbers_text(files, range(len(files))), "list") == {
        f: i for i, f in enumerate(files)
    }
    assert mapping_text((7,)).endswith("0           7           000008.jpg\n")
