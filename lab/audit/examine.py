"""The examination: every part of an audit that needs people, as one JSON document."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from lab.audit.attack import Given, Parts, attack
from lab.audit.attackers import ATTACKERS, Cosine
from lab.audit.bench import Bench
from lab.audit.channel import measurement_figures, message_figures
from lab.audit.identification import identify
from lab.audit.narrowed import narrowed
from lab.audit.people import People
from lab.audit.recognition import (
    Points,
    Recogniser,
    Values,
    cosines,
    guessed_embeddings,
    landmarks_of,
    real_embeddings,
)
from lab.audit.reconstruction import TRIVIAL, Examples, Guess, Pictures, estimators_for, likeness, psnr_db
from lab.audit.views import (
    IMAGE_EQUIVALENT,
    LATENT,
    LOGITS,
    MEASUREMENT,
    NAMED,
    SENT,
    measured,
    true_vectors,
)
from lab.audit.withheld import recovered
from lsi.errors import DataError
from training.scores.figures import finite

TRUE_LABELS: Final = "true labels"
FROM_LABELS: Final = ("nearest", "likelihood", "logistic")
"""The network is taught the labels themselves, which would make it a judge in its own case."""
GUESSED: Final = "embeddings of reconstructions"
GENERATOR: Final = "the generator"
HALF_BITS: Final = 16
"""Of each number of a latent."""
MOST_TOLD: Final = 3
"""Values of one answer: yes, no, null."""
NOISE_SCANS: Final = 2


@dataclass(frozen=True, slots=True, repr=False)
class Witness:
    """A recognition network that has seen the real pictures of *report*.

    Shape: ``real`` (n, F) embeddings; ``five`` (5, 2), where faces lie on average, which anybody knows.
    """

    network: Recogniser
    five: Points
    real: Values

    def embed(self, guessed: Pictures) -> Values:
        """Embeddings (n, F) of reconstructions (n, H, W)."""
        return guessed_embeddings(self.network, guessed, self.five)


def witness(network: Recogniser, bench: Bench) -> Witness:
    """Make ``network`` ready for the data of ``bench``.

    Raises:
        DataError: The file has no landmarks, by which faces are aligned.
    """
    points = landmarks_of(bench.data)
    if points is None:
        found = f"{bench.data.path} has no landmarks, without which a recognition network cannot be used."
        raise DataError(found, hint="a file with landmarks68_x4, or no --recognition.")
    real = real_embeddings(network, bench.data, bench.report_rows, points)
    return Witness(network, points.mean(axis=0), real)


def examine(
    bench: Bench, seen_by: Witness | None, say: Callable[[str], None], decoded: Guess | None = None
) -> dict[str, Any]:
    """Figures of every view of the bundle, and of the real picture.

    Args:
        bench: The bundle and its people.
        seen_by: A recognition network, where there is one.
        say: Told what is done.
        decoded: What the owner's generator makes of latents, where an attacker holds it.
    """
    views = {}
    for view in bench.subject.views:
        say(f"attacking {view}")
        views[view] = _view(bench, view, seen_by, decoded if view == LATENT else None)
    real = None
    if seen_by is not None:
        real = finite(identify(Cosine(), seen_by.real, bench.parts.report.identity).document())
    return {"views": views, "real_picture": real}


def _view(bench: Bench, view: str, seen_by: Witness | None, decoded: Guess | None) -> dict[str, Any]:
    names, parts = bench.subject.named(view), narrowed(bench.parts, view)
    given, rebuilt = [], None
    if view != LOGITS:
        rebuilt, guess = _reconstruction(bench, view, seen_by, decoded)
        if seen_by is not None and view in IMAGE_EQUIVALENT:
            parts = _with_guesses(parts, bench.parts, view, decoded or guess, seen_by)
            given = [Given("recognition", GUESSED, Cosine())]
    attacked = attack(parts, view, ATTACKERS, given)
    return {
        "sent": view in SENT,
        "image_equivalent": view in IMAGE_EQUIVALENT,
        "attributes": list(names),
        "channel": _channel(bench, view, attacked.rank1.people),
        "identification": attacked.document(),
        "true_labels": true_labels(bench.parts, names) if view in NAMED else None,
        "withheld": recovered(parts, view, names),
        "reconstruction": rebuilt,
    }


def _channel(bench: Bench, view: str, people: int) -> dict[str, Any] | None:
    if view in NAMED:
        return payload_channel(bench, view, people)
    if view in IMAGE_EQUIVALENT:
        return _measured_channel(bench, view, people)
    return None


def _measured_channel(bench: Bench, view: str, people: int) -> dict[str, Any]:
    """A latent is worked out of a measurement, so it cannot say more than that does."""
    values = bench.parts.report.views[MEASUREMENT]
    found = measurement_figures(values, _noise_variance(bench), bench.board.sensor.adc_bits, people)
    if view == LATENT:
        found["declared_bits"] = float(HALF_BITS * bench.parts.report.views[view].shape[1])
    return found


def payload_channel(bench: Bench, view: str, people: int) -> dict[str, Any]:
    """How much the payloads of ``view`` can say; see ``lab.audit.channel.message_figures``."""
    declared = _declared(bench.subject.named(view))
    return message_figures(bench.parts.report.views[view], people, declared)


def _declared(names: tuple[str, ...]) -> float:
    """Bits of a message that is any of: presence unknown, no face, a face with answers."""
    return float(np.log2(2 + MOST_TOLD ** len(names)))


def _noise_variance(bench: Bench) -> Values:
    """Variance (d,) between two scans of one still scene, halved."""
    masks, fields = bench.bundle.patterns.masks, bench.tune_faces.luminance
    first, second = (measured(masks, bench.board, fields, 100 + k) for k in range(NOISE_SCANS))
    variance: Values = ((first - second).astype(np.float64) ** 2).mean(axis=0) / 2
    return variance


def true_labels(parts: Parts, names: tuple[str, ...]) -> dict[str, Any]:
    """A device that answers what the labels say: what the attributes ``names`` themselves give away."""

    def told(people: People) -> People:
        return with_view(people, TRUE_LABELS, true_vectors(people.labels, people.label_names, names))

    parts = Parts(told(parts.learn), told(parts.tune), told(parts.report))
    attacked = attack(parts, TRUE_LABELS, {name: ATTACKERS[name] for name in FROM_LABELS})
    channel = message_figures(parts.report.views[TRUE_LABELS], attacked.rank1.people, _declared(names))
    return {**attacked.document(), "channel": channel}


def with_view(people: People, name: str, values: Values) -> People:
    """The same people with one more view."""
    return replace(people, views={**people.views, name: values})


def _with_guesses(parts: Parts, seen: Parts, view: str, guess: Guess, seen_by: Witness) -> Parts:
    """*Tune* and *report* of ``parts`` with the embeddings of what is reconstructed of what was ``seen``."""

    def guessed(people: People, messages: People) -> People:
        return with_view(people, GUESSED, seen_by.embed(guess(messages.views[view])))

    return replace(parts, tune=guessed(parts.tune, seen.tune), report=guessed(parts.report, seen.report))


def _reconstruction(
    bench: Bench, view: str, seen_by: Witness | None, decoded: Guess | None
) -> tuple[dict[str, Any], Guess]:
    """Likeness of every estimate on *report*, and the guess that is best on *tune* by PSNR."""
    examples = Examples(bench.parts.learn.views[view], bench.learn_pictures)
    estimators = estimators_for(examples)
    guesses = {name: learned(examples) for name, learned in {**TRIVIAL, **estimators}.items()}
    if decoded is not None:
        guesses[GENERATOR] = decoded
    messages = bench.parts.report.views[view]
    rows = {name: _likeness(bench, guess(messages), seen_by) for name, guess in guesses.items()}
    tuned = {
        name: float(psnr_db(guesses[name](bench.parts.tune.views[view]), bench.tune_pictures).mean())
        for name in guesses
        if name not in TRIVIAL
    }
    best = max(tuned, key=tuned.__getitem__)
    return {"best": best, "trivial": list(TRIVIAL), "estimators": rows}, guesses[best]


def _likeness(bench: Bench, guessed: Pictures, seen_by: Witness | None) -> dict[str, Any]:
    found: dict[str, Any] = likeness(guessed, bench.report_pictures)
    if seen_by is not None:
        found["identity_cosine"] = float(cosines(seen_by.embed(guessed), seen_by.real).mean())
    return found
