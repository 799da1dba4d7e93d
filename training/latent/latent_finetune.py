"""A latent bank adapted to measured vectors of a bench, as for the paper's prototype: the masks stay.

What was shown is known, so the teacher's latents of the pictures are the targets. How far to go is chosen by
cross-validation over the people of the shots; where nothing helps, the start is kept.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from host.decoder.weights import weights_of
from lsi.errors import DataError
from training.attributes.finetune import draw_shots
from training.data_sets.data import tune_rows
from training.data_sets.measured_vectors import MeasuredVectors
from training.latent.latent_checkpoint import LatentCheckpoint
from training.latent.latent_encoder import LatentEncoder
from training.latent.latent_exam import encoder_from, macro_auc

START: Final = "start"
INPUT: Final = "input"
ALL: Final = "all layers"
PASSES: Final[Mapping[str, int]] = {INPUT: 60, ALL: 40}
"""Passes over the shots: of a gain and an offset per mask, and of the whole encoder."""
RATES: Final[Mapping[str, float]] = {INPUT: 1e-2, ALL: 3e-4}
WEIGHT_DECAY: Final = 1e-2
BATCH: Final = 64
FOLDS: Final = 4
FEWEST_PEOPLE: Final = 10
SURE_SIGMAS: Final = 1.64
"""How many standard errors over people a gain must be to count."""
RANGE_SIGMAS: Final = 4.0
"""How far beyond their mean measurements of a few hundred scenes are expected."""
SMALLEST_GAIN: Final = 0.1
"""A mask that says less than this part of what it said is as good as dark."""

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True, repr=False)
class ShownVectors:
    """Measured vectors and the teacher's offsets (n, L, D) of the pictures that were shown."""

    vectors: MeasuredVectors
    wanted: NDArray[np.float32]

    def part(self, rows: Rows) -> "ShownVectors":
        """The vectors at ``rows``."""
        return ShownVectors(self.vectors.chosen(rows), self.wanted[rows])

    def __repr__(self) -> str:
        return f"ShownVectors({len(self.vectors)})"


@dataclass(frozen=True, slots=True, repr=False)
class TunedLatent:
    """The adapted checkpoint, what was chosen, the gains that cross-validation found, held-out figures."""

    checkpoint: LatentCheckpoint
    chosen: str
    gains: Mapping[str, tuple[float, float]]
    figures: Mapping[str, float]

    def __repr__(self) -> str:
        return f"TunedLatent({self.chosen})"


def finetune_latent(
    checkpoint: LatentCheckpoint, shown: ShownVectors, shots: int | None, seed: int
) -> TunedLatent:
    """Adapt the encoder; the *tune* half of the people gives the shots, the *report* half the figures.

    Raises:
        DataError: Vectors of other masks or of too few people, or without an attribute of the bank.
    """
    _check(checkpoint, shown)
    identity = shown.vectors.identity
    tune = tune_rows(identity)
    taught = shown.part(draw_shots(identity, tune, shots, seed))
    held_out = shown.part(np.flatnonzero(~tune))
    _check_people(taught, "shots")
    _check_people(held_out, "held-out vectors")
    scale = np.maximum(taught.wanted.std(axis=0), 1e-3)
    start = encoder_from(checkpoint, "the start")
    gains = {kind: _gain(start, taught, kind, scale, seed) for kind in PASSES}
    chosen = _chosen(gains)
    tuned = start if chosen == START else adapted(start, taught, chosen, scale, seed)
    figures = {"shots": float(len(taught.vectors)), "rows": float(len(held_out.vectors))}
    for when, encoder in (("before", start), ("after", tuned)):
        figures |= _figures(checkpoint, encoder, held_out, scale, when)
    if chosen == START:
        return TunedLatent(checkpoint, chosen, gains, figures)
    return TunedLatent(_with(checkpoint, tuned, taught), chosen, gains, figures)


def adapted(
    start: LatentEncoder, shown: ShownVectors, kind: str, scale: NDArray[np.float32], seed: int
) -> LatentEncoder:
    """The encoder after ``PASSES`` over ``shown``: a gain and an offset per mask first, then all layers."""
    encoder = copy.deepcopy(start)
    for stage in (INPUT,) if kind == INPUT else (INPUT, ALL):
        encoder = _pass_over(encoder, shown, stage, torch.tensor(scale), seed)
    return encoder


def _pass_over(
    encoder: LatentEncoder, shown: ShownVectors, stage: str, scale: Tensor, seed: int
) -> LatentEncoder:
    """One stage. Statistics of the bench replace nothing: the map is learned, and folded in at the end."""
    generator = torch.Generator().manual_seed(seed)
    vectors, wanted = torch.tensor(shown.vectors.measurements), torch.tensor(shown.wanted)
    front = _Front(encoder.shape.d)
    encoder.requires_grad_(requires_grad=stage == ALL)
    learned = [*front.parameters(), *(each for each in encoder.parameters() if each.requires_grad)]
    optimiser = torch.optim.AdamW(learned, RATES[stage], weight_decay=WEIGHT_DECAY)
    for _ in range(PASSES[stage]):
        for rows in torch.split(torch.randperm(len(vectors), generator=generator), BATCH):
            offsets = encoder.offsets(front(vectors[rows], encoder))
            loss = ((offsets - wanted[rows]) / scale).abs().mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
            optimiser.step()
    front.fold_into(encoder)
    return encoder.requires_grad_(requires_grad=False)


class _Front(nn.Module):
    """A gain and an offset for each standardised measurement, in front of an encoder in evaluation mode."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.gain, self.offset = nn.Parameter(torch.zeros(d)), nn.Parameter(torch.zeros(d))

    def forward(self, measurements: Tensor, encoder: LatentEncoder) -> Tensor:
        """Measurements that the encoder standardises to ``s + gain s + offset``."""
        mean, deviation = _statistics(encoder)
        standard = (measurements - mean) / deviation
        return mean + deviation * (standard + self.gain * standard + self.offset)

    @torch.no_grad()
    def fold_into(self, encoder: LatentEncoder) -> None:
        """Give the encoder a mean and a variance that do the same."""
        mean, deviation = _statistics(encoder)
        narrowed = deviation / (1 + self.gain).clamp_min(SMALLEST_GAIN)
        state = encoder.standardise.state_dict()
        state["running_mean"].copy_(mean - self.offset * narrowed)
        state["running_var"].copy_((narrowed.square() - encoder.standardise.eps).clamp_min(0.0))


def _statistics(encoder: LatentEncoder) -> tuple[Tensor, Tensor]:
    state = encoder.standardise.state_dict()
    return state["running_mean"].clone(), (state["running_var"] + encoder.standardise.eps).sqrt()


def _gain(
    start: LatentEncoder, shown: ShownVectors, kind: str, scale: NDArray[np.float32], seed: int
) -> tuple[float, float]:
    """How much nearer people that were left out come, and the standard error over people."""
    people, person_of = np.unique(shown.vectors.identity, return_inverse=True)
    fold = np.random.default_rng(seed).permutation(len(people))[person_of] % FOLDS
    gained = np.empty(len(person_of))
    for index in range(FOLDS):
        left_out = shown.part(np.flatnonzero(fold == index))
        encoder = adapted(start, shown.part(np.flatnonzero(fold != index)), kind, scale, seed)
        gained[fold == index] = _errors(start, left_out, scale) - _errors(encoder, left_out, scale)
    of_people = np.bincount(person_of, gained) / np.bincount(person_of)
    return float(of_people.mean()), float(of_people.std(ddof=1) / np.sqrt(len(people)))


def _chosen(gains: Mapping[str, tuple[float, float]]) -> str:
    """The largest gain that is sure; the start where none is."""
    sure = {kind: gain for kind, (gain, error) in gains.items() if gain > SURE_SIGMAS * error}
    return max(sure, key=lambda kind: sure[kind], default=START)


@torch.no_grad()
def _errors(encoder: LatentEncoder, shown: ShownVectors, scale: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean absolute error of each row in units of the latents' deviation."""
    found = encoder.offsets(torch.tensor(shown.vectors.measurements)).numpy()
    errors: NDArray[np.float64] = np.abs((found - shown.wanted) / scale).mean(axis=(1, 2))
    return errors


def _figures(
    checkpoint: LatentCheckpoint,
    encoder: LatentEncoder,
    shown: ShownVectors,
    scale: NDArray[np.float32],
    when: str,
) -> dict[str, float]:
    with torch.no_grad():
        logits = encoder(torch.tensor(shown.vectors.measurements))[1].numpy()
    columns = [shown.vectors.attribute_names.index(name) for name in checkpoint.attributes.names]
    return {
        f"latent_error_{when}": float(_errors(encoder, shown, scale).mean()),
        f"macro_auc_{when}": macro_auc(logits, shown.vectors.attributes[:, columns]),
    }


def _with(checkpoint: LatentCheckpoint, encoder: LatentEncoder, shown: ShownVectors) -> LatentCheckpoint:
    """The checkpoint with this encoder, and ranges from mean and spread of the shots, not any of them."""
    mean, sigma = shown.vectors.measurements.mean(axis=0), shown.vectors.measurements.std(axis=0)
    low, high = mean - RANGE_SIGMAS * sigma, mean + RANGE_SIGMAS * sigma
    return replace(
        checkpoint,
        encoder=weights_of(encoder),
        measurement_low=np.minimum(checkpoint.measurement_low, low).astype(np.float32),
        measurement_high=np.maximum(checkpoint.measurement_high, high).astype(np.float32),
    )


def with_record(tuned: TunedLatent, vectors: MeasuredVectors, command: str) -> LatentCheckpoint:
    """The checkpoint with what was done in its record, nothing of anybody's measurement."""
    done: dict[str, Any] = {
        "command": command,
        "chosen": tuned.chosen,
        "gains": {kind: list(gain) for kind, gain in tuned.gains.items()},
        "figures": dict(tuned.figures),
        "board": vectors.bench.board,
        "faults": dict(vectors.bench.faults),
    }
    checkpoint = tuned.checkpoint
    return replace(checkpoint, record={**checkpoint.record, "finetune": done})


def _check(checkpoint: LatentCheckpoint, shown: ShownVectors) -> None:
    vectors = shown.vectors
    if vectors.bench.pattern_digest != checkpoint.patterns.digest:
        found = f"The vectors of {vectors.bench.bundle} were measured with other masks than {checkpoint!r}."
        raise DataError(found, hint="'lsi lab record' with a bundle of this checkpoint.")
    missing = [name for name in checkpoint.attributes.names if name not in vectors.attribute_names]
    if missing:
        raise DataError(
            f"The vectors lack {', '.join(missing)}.", hint="record them with a bundle of this bank."
        )


def _check_people(shown: ShownVectors, what: str) -> None:
    people = len(np.unique(shown.vectors.identity))
    if people < FEWEST_PEOPLE:
        raise DataError(f"The {what} are of {people} people.", hint=f"{FEWEST_PEOPLE} or more.")
