import io
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab.scenes import ASTRONAUT_EYES, FRAME_EYES, aligned, open_scenes
from lsi.errors import SceneError


def saved(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (90, 60)) -> Path:
    Image.new("RGB", size, colour).save(path)
    return path


def test_a_picture_becomes_linear_light(tmp_path: Path) -> None:
    scene = next(open_scenes(saved(tmp_path / "grey.png", (188, 188, 188))))
    # sRGB 188 is half of white in linear light (IEC 61966-2-1): 0.5029.
    assert scene.luminance.shape == (64, 64)
    assert np.allclose(scene.luminance, 0.5029, atol=1e-3)


def test_green_is_brighter_than_blue_by_bt_709(tmp_path: Path) -> None:
    green, blue = (
        float(next(open_scenes(saved(tmp_path / f"{name}.png", colour))).luminance.mean())
        for name, colour in (("g", (0, 255, 0)), ("b", (0, 0, 255)))
    )
    assert [green, blue] == pytest.approx([0.7152, 0.0722], abs=1e-3)


def test_the_middle_square_of_a_wide_picture_is_shown(tmp_path: Path) -> None:
    picture = Image.new("RGB", (300, 100))
    picture.paste((255, 255, 255), (100, 0, 200, 100))
    picture.save(tmp_path / "wide.png")
    assert np.allclose(next(open_scenes(tmp_path / "wide.png")).luminance, 1.0)


def test_a_folder_is_walked_again_and_again_in_order(tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg"):
        saved(tmp_path / name, (9, 9, 9))
    (tmp_path / "notes.txt").write_text("x")
    assert [scene.name for scene in islice(open_scenes(tmp_path), 3)] == ["a.jpg", "b.png", "a.jpg"]


def test_the_built_in_scenes_change_between_a_face_and_none() -> None:
    scenes = list(islice(open_scenes(None), 6))
    assert [scene.truth["face"] for scene in scenes] == [True, False] * 3
    assert scenes[0].name == "portrait"
    assert scenes[0].truth["Smiling"]


def test_alignment_puts_the_eyes_where_the_training_set_has_them() -> None:
    picture = Image.new("L", (512, 512))
    for x, y in ASTRONAUT_EYES:
        for dx in range(-2, 3):
            for dy in range(-2, 3):
                picture.putpixel((round(x) + dx, round(y) + dy), 255)
    pixels = np.asarray(aligned(picture, ASTRONAUT_EYES), np.float64)
    rows, columns = np.mgrid[0:128, 0:128]
    for side, (eye_x, eye_y) in zip((pixels[:, :64], pixels[:, 64:]), FRAME_EYES, strict=True):
        offset = 0 if eye_x < 64 else 64
        x = (side * columns[:, : side.shape[1]]).sum() / side.sum() + offset
        y = (side * rows[:, : side.shape[1]]).sum() / side.sum()
        assert [x, y] == pytest.approx([eye_x, eye_y], abs=0.7)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n broken"])
def test_an_unreadable_picture_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(SceneError, match=r"x\.png"):
        next(open_scenes(path))


def test_a_picture_that_is_cut_off_is_named(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.effect_noise((80, 80), 90).save(buffer, "PNG")
    path = tmp_path / "cut.png"
    path.write_bytes(buffer.getvalue()[:2000])
    with pytest.raises(SceneError, match=r"cut\.png"):
        next(open_scenes(path))


@pytest.mark.parametrize("name", ["gone.png", "gone.npz"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SceneError, match=name):
        next(open_scenes(tmp_path / name))


def test_an_empty_folder_says_what_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="PNG, JPEG"):
        open_scenes(tmp_path)


def test_a_picture_of_absurd_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.scenes.MAX_PIXELS", 100)
    with pytest.raises(SceneError, match="over 100 pixels"):
        open_scenes(saved(tmp_path / "big.png", (0, 0, 0)))


def test_a_data_file_gives_its_true_attributes(tmp_path: Path) -> None:
    streams = []
    for grey in (0, 255):
        buffer = io.BytesIO()
        Image.new("RGB", (128, 128), (grey,) * 3).save(buffer, "WEBP")
        streams.append(buffer.getvalue())
    offsets = np.cumsum([0, *map(len, streams)])
    np.savez(
        tmp_path / "d.npz",
        image_bytes=np.frombuffer(b"".join(streams), np.uint8),
        offsets=offsets,
        attributes=np.array([[1], [-1]], np.int8),
        attribute_names=np.array(["Smiling"]),
        identity=np.array([1, 2]),
    )
    scenes = list(islice(open_scenes(tmp_path / "d.npz"), 3))
    assert [scene.truth for scene in scenes] == [
        {"face": True, "Smiling": True}, {"face": True, "Smiling": False}, {"face": True, "Smiling": True},
    ]  # fmt: skip
    assert scenes[1].luminance.min() > 0.98
