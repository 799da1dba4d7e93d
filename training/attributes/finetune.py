"""Few-shot adaptation of a checkpoint to a bench: how far to go, or to stay, and what it gained."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lsi.errors import DataError
from training.attributes.checkpoint import Checkpoint
from training.data_sets.data import tune_rows
from training.data_sets.measured_vectors import MeasuredVectors
from training.read_outs.input_map import Fitted, Spread, answer_loss, fit_input_map
from training.read_outs.read_out import ReadOutWeights
from training.scores.figures import auc, balanced_accuracy, finite
from training.scores.intervals import bounds, person_weights, weighted_areas

START: Final = "start"
RECORD: Final = "finetune"
"""Under which name a checkpoint's record holds what this module did."""
STAY: Final = Spread(common=0.0, offset=0.0, gain=0.0)
CANDIDATES: Final[Mapping[str, Spread]] = {
    "common offset": Spread(common=3.0, offset=0.0, gain=0.0),
    "mask by mask": Spread(common=3.0, offset=0.3, gain=0.1),
}
"""How far the rig may be off, from the least to the most.

A common offset is what arms of different gain leave behind: one number, known well enough after a hundred
answers. The other is for rigs that differ mask by mask; no simulated fault needed it so far.
"""
SURE_SIGMAS: Final[Mapping[str, float]] = {"common offset": 1.64, "mask by mask": 3.0}
"""How many standard errors a gain must be to count; 1.64 are reached by chance once in twenty.

A common offset fitted to 32 vectors of a sound rig costs 0.4 point of macro AUC on the mean and 2 to 6 at
worst. A start that is kept in vain is mended by more shots; nobody notices a bad fit.
"""
CHANCE_AUC: Final = 0.5
FOLDS: Final = 5
FEWEST_PEOPLE: Final = 10
"""On either side: below, folds and intervals over people say nothing."""
RANGE_SIGMAS: Final = 4.0
"""How far beyond their mean measurements of a few hundred scenes are expected."""
RANGE_ROWS: Final = 4096
RANGE_SEED: Final = 23

Labels = NDArray[np.int8]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Choice:
    """What cross-validation on the shots says of one candidate against the start.

    ``gain_nats`` is per answer; ``error_nats`` its standard error over people.
    """

    name: str
    gain_nats: float
    error_nats: float


@dataclass(frozen=True, slots=True, repr=False)
class Tuned:
    """The adapted checkpoint, what was chosen out of what, and the figures on held-out people."""

    checkpoint: Checkpoint
    chosen: str
    choices: tuple[Choice, ...]
    figures: Mapping[str, Any]

    @property
    def kept_start(self) -> bool:
        """Whether cross-validation showed no gain, so that the checkpoint is the start."""
        return self.chosen == START

    def __repr__(self) -> str:
        return f"Tuned({self.chosen})"


def finetune(checkpoint: Checkpoint, vectors: MeasuredVectors, shots: int | None, seed: int) -> Tuned:
    """Adapt the read-out of ``checkpoint`` to the bench of ``vectors``.

    The *tune* half of the people gives ``shots`` vectors (all of them by default), drawn by ``seed``; the
    *report* half gives the figures. Masks, thresholds and layers stay; mean and scale per mask change.

    Raises:
        DataError: The vectors belong to other masks, lack an attribute, or are too few.
    """
    labels = matching_labels(checkpoint, vectors)
    tune = tune_rows(vectors.identity)
    drawn, held_out = draw_shots(vectors.identity, tune, shots, seed), np.flatnonzero(~tune)
    _check_people(vectors.identity[drawn], "shots")
    _check_people(vectors.identity[held_out], "held-out vectors")
    start = checkpoint.read_out
    chosen, choices = choose(start, vectors.chosen(drawn), labels[drawn])
    read_out = start
    if chosen != START:
        fitted = fit_input_map(start, vectors.measurements[drawn], labels[drawn], CANDIDATES[chosen])
        read_out = fitted.map.folded(start)
    figures = before_and_after(checkpoint, read_out, vectors.chosen(held_out), labels[held_out])
    figures |= {"shots": len(drawn), "shot_people": len(np.unique(vectors.identity[drawn]))}
    adapted = checkpoint
    if chosen != START:
        adapted = _adapted(checkpoint, read_out, vectors.measurements[drawn])
    return Tuned(adapted, chosen, choices, figures)


def matching_labels(checkpoint: Checkpoint, vectors: MeasuredVectors) -> Labels:
    """Labels (n, K) in the order of the checkpoint's attributes.

    Raises:
        DataError: Other masks, another d, or an attribute that the vectors do not have.
    """
    if vectors.d != len(checkpoint.patterns) or vectors.bench.pattern_digest != checkpoint.patterns.digest:
        found = (
            f"The vectors were measured with other masks (d = {vectors.d},"
            f" {vectors.bench.pattern_digest[:8]}) than the checkpoint's"
            f" (d = {len(checkpoint.patterns)}, {checkpoint.patterns.digest[:8]})."
        )
        raise DataError(found, hint="record with the bundle that was exported from this checkpoint.")
    missing = [name for name in checkpoint.attributes.names if name not in vectors.attribute_names]
    if missing:
        found = f"The vectors do not label {', '.join(missing)}."
        raise DataError(found, hint="record with a bundle that has the checkpoint's attributes.")
    columns = [vectors.attribute_names.index(name) for name in checkpoint.attributes.names]
    labels: Labels = vectors.attributes[:, columns]
    return labels


def draw_shots(identity: NDArray[np.int64], tune: NDArray[np.bool_], shots: int | None, seed: int) -> Rows:
    """Positions of ``shots`` vectors of the *tune* half, of as many people as there are.

    Raises:
        DataError: The half holds fewer.
    """
    available = np.flatnonzero(tune)
    if shots is None:
        return available
    if shots > len(available):
        found = f"{shots} shots were asked for; the tune half of the people has {len(available)} vectors."
        raise DataError(found, hint="fewer --shots, or record more people.")
    order = np.random.default_rng(seed).permutation(available)
    people, person_of = np.unique(identity[order], return_inverse=True)
    turn = np.zeros(len(order), np.int64)
    for person in range(len(people)):
        mine = person_of == person
        turn[mine] = np.arange(mine.sum())
    drawn: Rows = np.sort(order[np.argsort(turn, kind="stable")[:shots]])
    return drawn


def choose(
    read_out: ReadOutWeights, shots: MeasuredVectors, labels: Labels
) -> tuple[str, tuple[Choice, ...]]:
    """The widest candidate of which each step further gains more than chance would.

    Judged by log loss on people of the shots that the fit has not seen; the start competes with its rates
    of answers adjusted like those of the candidates.
    """
    folds = _folds(shots.identity)
    current, current_loss = START, _unseen_loss(read_out, shots, labels, folds, STAY)
    start_loss, choices = current_loss, []
    for name, spread in CANDIDATES.items():
        loss = _unseen_loss(read_out, shots, labels, folds, spread)
        step_gain, step_error = _gain(current_loss - loss, labels, shots.identity)
        if step_gain > SURE_SIGMAS[name] * step_error:
            current, current_loss = name, loss
        choices.append(Choice(name, *_gain(start_loss - loss, labels, shots.identity)))
    return current, tuple(choices)


def before_and_after(
    checkpoint: Checkpoint, read_out: ReadOutWeights, held_out: MeasuredVectors, labels: Labels
) -> dict[str, Any]:
    """Figures of start and result on the same held-out vectors, thresholds alike, as JSON."""
    before = checkpoint.read_out.logits(held_out.measurements)
    after = read_out.logits(held_out.measurements)
    schema = checkpoint.attributes
    drawn_before = _macro_rounds(before, labels, held_out.identity)
    drawn_after = _macro_rounds(after, labels, held_out.identity)
    macro_before, macro_after = macro_auc(before, labels), macro_auc(after, labels)
    return {
        "rows": len(held_out),
        "people": len(np.unique(held_out.identity)),
        "macro_auc_before": macro_before,
        "macro_auc_after": macro_after,
        "macro_auc_after_95": list(bounds(drawn_after)),
        "macro_auc_gain": macro_after - macro_before,
        "macro_auc_gain_95": list(bounds(drawn_after - drawn_before)),
        "macro_auc_chance": CHANCE_AUC,
        "faces_turned_away_before": float((before[:, -1] < schema.presence_threshold).mean()),
        "faces_turned_away_after": float((after[:, -1] < schema.presence_threshold).mean()),
        "attributes": {
            name: _one_attribute(labels[:, k], before[:, k], after[:, k], schema.thresholds[k])
            for k, name in enumerate(schema.names)
        },
    }


def macro_auc(logits: NDArray[np.float32], labels: Labels) -> float:
    """Mean AUC over the attributes (n, K) that have both classes; unknown labels do not count."""
    known = [labels[:, k] != 0 for k in range(labels.shape[1])]
    found = [auc(logits[rows, k], labels[rows, k] > 0) for k, rows in enumerate(known)]
    usable = [value for value in found if not np.isnan(value)]
    return float(np.mean(usable)) if usable else float("nan")


def _macro_rounds(
    logits: NDArray[np.float32], labels: Labels, identity: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Macro AUC of every round of the bootstrap over people; the same rounds in every call."""
    blocks = []
    for weights in person_weights(identity):
        areas = []
        for k in range(labels.shape[1]):
            known = labels[:, k] != 0
            areas.append(weighted_areas(logits[known, k], labels[known, k] > 0, weights[:, known])[0])
        found, count = np.array(areas), (~np.isnan(areas)).sum(axis=0)
        blocks.append(np.where(count > 0, np.nansum(found, axis=0) / np.maximum(count, 1), np.nan))
    return np.concatenate(blocks)


def measurements_digest(vectors: MeasuredVectors) -> str:
    """SHA-256 of the numbers and labels: names the file in a record without showing it."""
    digest = hashlib.sha256(vectors.measurements.tobytes())
    digest.update(vectors.attributes.tobytes())
    return digest.hexdigest()


def with_record(tuned: Tuned, vectors: MeasuredVectors, command: str, seed: int) -> Checkpoint:
    """The adapted checkpoint, its record completed by how it was adapted and what that gained."""
    entry = {
        "command": command,
        "seed": seed,
        "measurements": measurements_digest(vectors),
        "bench": asdict(vectors.bench),
        "thresholds": "those of the start, presence included",
        **as_document(tuned),
    }
    return replace(tuned.checkpoint, record={**tuned.checkpoint.record, RECORD: entry})


def as_document(tuned: Tuned) -> dict[str, Any]:
    """Choice and figures as JSON; a figure that does not exist (one class) is ``None``."""
    document: dict[str, Any] = finite(
        {
            "chosen": tuned.chosen,
            "choices": [asdict(choice) for choice in tuned.choices],
            "figures": dict(tuned.figures),
        }
    )
    return document


def _check_people(identity: NDArray[np.int64], what: str) -> None:
    people = len(np.unique(identity))
    if people < FEWEST_PEOPLE:
        found = f"The {what} are of {people} people; at least {FEWEST_PEOPLE} are needed."
        raise DataError(found, hint="lsi lab record with --part all and more rows.")


def _folds(identity: NDArray[np.int64]) -> NDArray[np.int64]:
    """Fold of each row, (n,): people dealt out in random order, the same one in every run."""
    people, row_of = np.unique(identity, return_inverse=True)
    place: NDArray[np.int64] = np.random.default_rng(0).permutation(len(people))[row_of] % FOLDS
    return place


def _unseen_loss(
    read_out: ReadOutWeights,
    shots: MeasuredVectors,
    labels: Labels,
    folds: NDArray[np.int64],
    spread: Spread,
) -> NDArray[np.float64]:
    """Nats of every answer (n, K) by the fit that did not see its person."""
    loss = np.zeros(labels.shape)
    for fold in range(FOLDS):
        seen, unseen = folds != fold, folds == fold
        fitted = fit_input_map(read_out, shots.measurements[seen], labels[seen], spread)
        loss[unseen] = _loss(read_out, fitted, shots.measurements[unseen], labels[unseen])
    return loss


def _loss(
    read_out: ReadOutWeights, fitted: Fitted, measurements: NDArray[np.float32], labels: Labels
) -> NDArray[np.float64]:
    logits = fitted.map.folded(read_out).logits(measurements)[:, :-1]
    return answer_loss(logits + fitted.base_rate, labels)


def _gain(saved: NDArray[np.float64], labels: Labels, identity: NDArray[np.int64]) -> tuple[float, float]:
    """Nats per answer that were ``saved`` (n, K), and the standard error over people."""
    _, row_of = np.unique(identity, return_inverse=True)
    per_person = np.bincount(row_of, saved.sum(axis=1))
    answers = max(1, int((labels != 0).sum()))
    error = float(per_person.std(ddof=1)) * np.sqrt(len(per_person))
    return float(per_person.sum()) / answers, float(error) / answers


def _one_attribute(
    labels: Labels, before: NDArray[np.float32], after: NDArray[np.float32], threshold: float
) -> dict[str, float]:
    known = labels != 0
    truth = labels[known] > 0
    share = float(truth.mean()) if truth.size else float("nan")
    found = {"positives": int(truth.sum()), "accuracy_majority": max(share, 1 - share)}
    for when, logits in (("before", before[known]), ("after", after[known])):
        decided = logits >= threshold
        found[f"auc_{when}"] = auc(logits, truth)
        found[f"balanced_accuracy_{when}"] = balanced_accuracy(decided, truth)
        found[f"accuracy_{when}"] = float((decided == truth).mean()) if truth.size else float("nan")
    return found


def _adapted(
    checkpoint: Checkpoint, read_out: ReadOutWeights, measurements: NDArray[np.float32]
) -> Checkpoint:
    """The checkpoint with ``read_out`` and with ranges that hold what this bench measures, too.

    The ranges come from mean and spread of the shots, not from any one of them.
    """
    mean, sigma = measurements.mean(axis=0), measurements.std(axis=0)
    low, high = mean - RANGE_SIGMAS * sigma, mean + RANGE_SIGMAS * sigma
    normal = np.random.default_rng(RANGE_SEED).standard_normal((RANGE_ROWS, len(mean)))
    activations = read_out.activations(np.clip(mean + sigma * normal, low, high).astype(np.float32))
    lows = np.array([each.min() for each in activations], np.float32)
    highs = np.array([each.max() for each in activations], np.float32)
    return replace(
        checkpoint,
        read_out=read_out,
        measurement_low=np.minimum(checkpoint.measurement_low, low).astype(np.float32),
        measurement_high=np.maximum(checkpoint.measurement_high, high).astype(np.float32),
        activation_low=np.minimum(checkpoint.activation_low, lows),
        activation_high=np.maximum(checkpoint.activation_high, highs),
    )
