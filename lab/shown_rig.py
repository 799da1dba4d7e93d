"""``ShownRig``: a simulated rig of our own whose inside is shown, step by step. No sensor has such a window.

It is the same simulation that a demo's sensor runs on, beside it and never in it: the service has no tap.
"""

import base64
import io
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from firmware.boards.board import Board
from lab.bench_rig import chain_answers
from lab.scenes import Scene
from lsi.attributes import AttributeLogits
from lsi.bundle import Bundle
from lsi.disclosure import DisclosurePolicy

STEP_S: Final = 0.15
REST_STEPS: Final = 12
"""The answers stand so many steps."""
_WHITE: Final = 255


@dataclass(frozen=True, slots=True)
class Shown:
    """One step.

    ``light`` and ``mask`` are PNG data addresses; ``values`` the ratios measured so far, which lie within
    plus or minus ``limit`` in the scenes of the training. ``answers`` leave the sensor once all ``d`` ratios
    are there: ``None`` before, empty without a face.
    """

    scene: str = ""
    light: str = ""
    mask: str = ""
    d: int = 0
    limit: float = 1.0
    values: tuple[float, ...] = ()
    answers: Mapping[str, bool] | None = field(default=None)


class ShownRig:
    """Shows scene after scene; ``shown`` may be read from any thread.

    Args:
        bundle: Masks and network.
        board: Which simulated rig.
        scenes: What stands in front of it.
        wait: Waits for so many seconds and says whether to stop.
    """

    def __init__(
        self, bundle: Bundle, board: Board, scenes: Iterable[Scene], wait: Callable[[float], bool]
    ) -> None:
        self._bundle = bundle
        self._board = board
        self._scenes = scenes
        self._wait = wait
        self._masks = tuple(_address(mask.astype(np.float32)) for mask in bundle.patterns.masks)
        limits = np.abs((bundle.measurement_range.low, bundle.measurement_range.high))
        self._limit = float(limits.max())
        self._allowed = DisclosurePolicy().allowed & bundle.allowed
        self.shown = Shown()

    def run(self) -> None:
        """Go on until the scenes end or ``wait`` says stop."""
        shown, measured = itertools.tee(self._scenes)
        answers = chain_answers(self._bundle, self._board, (scene.luminance for scene in measured))
        for scene, answered in zip(shown, answers, strict=False):
            if answered is None:
                continue
            face = answered.logits.presence
            decided = answered.logits.decisions() if face else {}
            leaving = {
                name: value for name, value in decided.items() if name in self._allowed and value is not None
            }
            if self._walk(scene, tuple(answered.measurement.tolist()), leaving):
                return

    def _leaving(self, logits: AttributeLogits) -> Mapping[str, bool]:
        decided = logits.decisions() if logits.presence else {}
        return {name: yes for name, yes in decided.items() if name in self._allowed and yes is not None}

    def _walk(self, scene: Scene, values: tuple[float, ...], leaving: Mapping[str, bool]) -> bool:
        light, d = _address(scene.luminance), len(values)
        for step, mask in enumerate(self._masks, start=1):
            self.shown = Shown(scene.name, light, mask, d, self._limit, values[:step])
            if self._wait(STEP_S):
                return True
        self.shown = Shown(scene.name, light, "", d, self._limit, values, leaving)
        return self._wait(STEP_S * REST_STEPS)


def _address(luminance: NDArray[np.float32]) -> str:
    """A grey picture of linear light as a data address, with the eye's gamma."""
    codes = (np.clip(luminance, 0, 1) ** (1 / 2.2) * _WHITE).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(codes).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
