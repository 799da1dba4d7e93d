import numpy as np
import pytest
from numpy.typing import NDArray

from firmware.boards.board import SIMULATED_BOARD, find_board
from lab.audit import over_light
from lab.audit.attackers import ATTACKERS
from lab.audit.over_light import Faces, directions, rows_over_light
from tests.lab.audit.crowd import NAMES
from training.data_sets.data import FaceData

BOARD = find_board(SIMULATED_BOARD)


def faces(people: int, seed: int) -> FaceData:
    """Blocks of light of which most stays a person's own."""
    generator = np.random.default_rng(seed)
    identity = np.repeat(np.arange(people), 3)
    own = generator.uniform(0.2, 0.6, (people, 8, 8))
    scenes = np.repeat(own, 3, axis=0) + generator.uniform(0, 0.15, (3 * people, 8, 8))
    luminance = np.kron(scenes, np.ones((1, 8, 8))).astype(np.float32)
    labels = np.where(generator.random((3 * people, len(NAMES))) < 0.5, 1, -1).astype(np.int8)
    return FaceData(luminance, labels, NAMES, identity)


PARTS = Faces(faces(40, 0), faces(20, 1), faces(20, 2))
MASKS: NDArray[np.bool_] = np.random.default_rng(3).random((6, 64, 64)) < 0.5


@pytest.fixture(autouse=True)
def _one_attacker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is tried in a test of its own."""
    monkeypatch.setattr(over_light, "STRONG", {"likelihood": ATTACKERS["likelihood"]})


def test_more_light_tells_more_and_darkness_is_left_out() -> None:
    said: list[str] = []
    rows = rows_over_light({"six": MASKS}, BOARD, (0.001, 3.0, 100.0), PARTS, said.append)
    assert [(row["bank"], row["d"], row["power_nw"]) for row in rows] == [("six", 6, 3.0), ("six", 6, 100.0)]
    assert rows[0]["auc"] < rows[1]["auc"]
    assert rows[1]["rank1_over_chance"] > 3
    assert rows[1]["people"] == 20
    assert said == ["six, 0.001 nW", "six, 3 nW", "six, 100 nW"]


def test_directions_are_binary_masks_that_see_the_scenes() -> None:
    masks = directions(PARTS.learn, 12)
    assert masks.shape == (12, 64, 64)
    assert masks.dtype == np.bool_
    assert 0.2 < masks.mean() < 0.8
    found = rows_over_light({"found": masks}, BOARD, (100.0,), PARTS, lambda _: None)
    assert found[0]["auc"] == pytest.approx(1, abs=0.2)
