"""What is gained by waiting: N messages about one still scene instead of one.

Noise makes answers near a threshold change from scan to scan; their mean tells how near. That is why a
visit is one record and live state is debounced: this attack is on a reader of every single scan.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_app.inference.tflite_model import TfliteModel
from lab.audit.attack import Attacked, Parts, attack
from lab.audit.attackers import Learner, Likelihood, Logistic, Nearest, Values
from lab.audit.bench import Bench, whole_people
from lab.audit.examine import with_view
from lab.audit.people import People
from lab.audit.views import LITE, Discloser, measured
from lsi.attributes import AttributeLogits
from training.scores.figures import finite

REPEATS: Final = (1, 4, 16)
MOST_LEARNED: Final = 2000
"""Pictures from which the attackers learn what a mean of answers is worth."""
AVERAGED: Final = "mean of answers"
_ATTACKERS: Final[Mapping[str, Learner]] = {
    "nearest": Nearest.learned,
    "likelihood": Likelihood.learned,
    "logistic": Logistic.learned,
}


def averaged(bench: Bench, repeats: Sequence[int] = REPEATS) -> list[dict[str, Any]]:
    """Figures of mode attr-lite for each N of ``repeats``; empty where the bundle has no such answer.

    Scenes stand still and are scanned N times with fresh noise by the forward model.
    """
    if not bench.subject.lite:
        return []
    rows = whole_people(bench.learn_faces.identity, np.arange(len(bench.learn_faces)), MOST_LEARNED)
    chosen = np.isin(np.arange(len(bench.learn_faces)), rows)
    learn, learn_faces = bench.parts.learn.rows(chosen), bench.learn_faces.rows(chosen)
    report_fields = np.stack([bench.data.field(int(row)) for row in bench.report_rows])
    model = TfliteModel(bench.bundle)
    found = []
    for count in repeats:
        parts = Parts(
            _with_mean(bench, model, learn, learn_faces.luminance, count, 0),
            _with_mean(bench, model, bench.parts.tune, bench.tune_faces.luminance, count, 1),
            _with_mean(bench, model, bench.parts.report, report_fields, count, 2),
        )
        attacked = attack(parts, AVERAGED, _ATTACKERS)
        found.append({"messages": count, **_figures(attacked)})
    return found


def _figures(attacked: Attacked) -> dict[str, Any]:
    rank1, verified = attacked.rank1, attacked.verification
    figures: dict[str, Any] = finite(
        {
            "rank1_over_chance": rank1.rank1_over_chance,
            "rank1_over_chance_95": rank1.rank1_over_chance_95,
            "auc": verified.auc,
            "auc_95": verified.auc_95,
        }
    )
    return figures


def _with_mean(  # noqa: PLR0913, PLR0917 - what is scanned, and how often
    bench: Bench, model: TfliteModel, people: People, fields: NDArray[np.float32], count: int, part: int
) -> People:
    total = np.zeros((len(people), 1 + len(bench.subject.lite)))
    for repeat in range(count):
        total += _answers(bench, model, fields, seed=1000 * (part + 1) + repeat)
    return with_view(people, AVERAGED, total / count)


def _answers(bench: Bench, model: TfliteModel, fields: NDArray[np.float32], seed: int) -> Values:
    discloser = Discloser.of(bench.subject, LITE)
    vectors = measured(bench.bundle.patterns.masks, bench.board, fields, seed)
    logits = (AttributeLogits(model.answer(vector), bench.bundle.attributes) for vector in vectors)
    return np.array([discloser.vector(each) for each in logits])
