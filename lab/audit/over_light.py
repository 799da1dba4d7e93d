"""How well people are found again from the raw measurement, over the number of masks and the light."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from firmware.boards.board import Board
from lab.audit.attack import Parts, attack
from lab.audit.attackers import ATTACKERS, Learner
from lab.audit.people import People
from lab.bench_rig import with_power
from training.data_sets.data import FaceData
from training.light.forward_model import Detector, arm_light, scan_light
from training.mask_banks.mask_start import start_from_lda
from training.mask_banks.masks import heaviside

NUMBERS: Final = "measurement"
STRONG: Final[Mapping[str, Learner]] = {name: ATTACKERS[name] for name in ("likelihood", "mlp")}
"""The attackers that were strongest on measurements of every number of masks that was tried."""
ROWS_AT_ONCE: Final = 512
MOST_DROPPED: Final = 0.5
"""In light in which the device refuses more of its scans there is nothing to attack."""

Masks = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, repr=False)
class Faces:
    """Three sets of people without one in common."""

    learn: FaceData
    tune: FaceData
    report: FaceData


def rows_over_light(
    banks: Mapping[str, Masks],
    board: Board,
    powers_nw: Sequence[float],
    faces: Faces,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """One row per bank and light: rank-1 and AUC with intervals, chance, share of refused scans.

    Attackers learn in the same light. Light in which the device would refuse most scans is left out.
    """
    rows = []
    for name, masks in banks.items():
        for power_nw in powers_nw:
            say(f"{name}, {power_nw:g} nW")
            row = _row(masks, with_power(board, power_nw), faces)
            if row is not None:
                rows.append({"bank": name, "d": len(masks), "power_nw": power_nw, **row})
    return rows


def directions(faces: FaceData, d: int, seed: int = 0) -> Masks:
    """Masks of the ``d`` directions that tell the labels best, then principal components; not trained.

    Raises:
        DataError: Too few pictures, or labels of one kind alone.
    """
    generator = torch.Generator().manual_seed(seed)
    logits = start_from_lda(torch.tensor(faces.luminance), torch.tensor(faces.attributes), d, generator)
    masks: Masks = heaviside(logits).bool().numpy()
    return masks


def _row(masks: Masks, board: Board, faces: Faces) -> dict[str, Any] | None:
    measured = [
        _people(masks, board, part, seed) for seed, part in enumerate((faces.learn, faces.tune, faces.report))
    ]
    if max(dropped for _, dropped in measured) > MOST_DROPPED:
        return None
    (learn, _), (tune, _), (report, dropped) = measured
    found = attack(Parts(learn, tune, report), NUMBERS, STRONG)
    first, same = found.rank1, found.verification
    return {
        "dropped": dropped,
        "people": first.people,
        "rank1": first.rank1,
        "rank1_95": list(first.rank1_95),
        "rank1_over_chance": first.rank1_over_chance,
        "rank1_over_chance_95": list(first.rank1_over_chance_95),
        "auc": same.auc,
        "auc_95": list(same.auc_95),
    }


def _people(masks: Masks, board: Board, faces: FaceData, seed: int) -> tuple[People, float]:
    """Scans that the device would use, and the share of those that it would refuse."""
    detector = Detector(board.sensor, board.plan.samples_per_pattern)
    generator, bank = torch.Generator().manual_seed(seed), torch.tensor(masks).float()
    vectors, refused = [], []
    for part in torch.split(torch.tensor(faces.luminance), ROWS_AT_ONCE):
        power = torch.full((len(part),), board.sensor.power_nw)
        scans = scan_light(arm_light(part, bank), detector, power, generator)
        vectors.append(scans.measurements)
        refused.append(scans.dropped)
    kept = ~torch.cat(refused).numpy()
    values = torch.cat(vectors).numpy().astype(np.float64)
    people = People(faces.identity, faces.attributes, faces.names, {NUMBERS: values})
    return people.rows(kept), float(1 - kept.mean())
