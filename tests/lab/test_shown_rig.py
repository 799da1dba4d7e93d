"""What the demo's page shows of a simulated rig, step by step; time is the test's."""

import base64
import io
from dataclasses import replace

import numpy as np
from PIL import Image

from firmware.boards.board import find_board
from lab.bundles import shipped_bundle
from lab.scenes import Scene, open_scenes
from lab.shown_rig import Shown, ShownRig
from lsi.bundle import read_bundle

BUNDLE = read_bundle(shipped_bundle())
BOARD = find_board("sim-mcp3208")


def walk(scenes: list[Scene], stop_after: int | None = None) -> list[Shown]:
    seen: list[Shown] = []

    def wait(_: float) -> bool:
        seen.append(rig.shown)
        return len(seen) == stop_after

    rig = ShownRig(BUNDLE, BOARD, scenes, wait)
    rig.run()
    return seen


def scenes_named(name: str) -> Scene:
    return next(scene for scene in open_scenes(None) if scene.name == name)


def pixels(address: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))


def test_masks_come_one_by_one_and_answers_only_after_the_last() -> None:
    seen = walk([scenes_named("portrait")])
    assert [len(shown.values) for shown in seen] == [*range(1, 17), 16]
    assert all(shown.answers is None for shown in seen[:-1])
    assert seen[-1].answers is not None
    assert set(seen[-1].answers) == {"Smiling", "Mouth_Slightly_Open", "Eyeglasses", "Wearing_Hat"}
    assert all(abs(value) <= seen[0].limit * 1.5 for value in seen[-1].values)
    for shown, mask in zip(seen, BUNDLE.patterns.masks, strict=False):
        assert np.array_equal(pixels(shown.mask) > 127, mask)


def test_nobody_there_has_no_answers() -> None:
    assert walk([scenes_named("coffee")])[-1].answers == {}


def test_a_scan_in_the_dark_is_passed_over_and_scenes_keep_their_names() -> None:
    portrait = scenes_named("portrait")
    dark = replace(portrait, name="dark", luminance=np.zeros_like(portrait.luminance))
    assert {shown.scene for shown in walk([dark, portrait])} == {"portrait"}


def test_it_stops_when_it_is_told_to() -> None:
    assert len(walk([scenes_named("portrait")] * 3, stop_after=5)) == 5
