"""What a message says about attributes that it does not name."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lab.audit.attack import Parts
from lab.audit.attackers import Nearest, Values, are_few
from training.scores.figures import auc, known
from training.scores.intervals import bounds, person_weights, weighted_areas

RIDGE: Final = 1e-3
CHANCE: Final = 0.5


def recovered(parts: Parts, view: str, sent: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """AUC on *report* of every labelled attribute not in ``sent``, guessed from ``view``; chance is 0.5.

    Attributes with one kind of label alone, in *learn* or *report*, are left out.
    """
    learn, report = parts.learn, parts.report
    withheld = [k for k, name in enumerate(learn.label_names) if name not in sent]
    found = {}
    for k in withheld:
        name = learn.label_names[k]
        answers = report.labels[:, report.label_names.index(name)]
        if len(np.unique(learn.labels[learn.labels[:, k] != 0, k])) < 2:  # noqa: PLR2004 - yes and no
            continue
        scores = guesses(learn.views[view], learn.labels[:, k], report.views[view])
        row = _figures(scores, answers, report.identity)
        if row is not None:
            found[name] = row
    return found


def guesses(learned: Values, answers: NDArray[np.int8], messages: Values) -> Values:
    """Scores (m,) of yes for ``messages`` (m, F), after ``learned`` (n, F) with ``answers`` (n,).

    Few different messages: the share of yes among those who sent the same. Else a linear fit, which for
    ranking is as good as logistic regression.
    """
    told = answers != 0
    if are_few(learned[told]):
        return _share_of_like(learned[told], answers[told] > 0, messages)
    base = Nearest.learned_from(learned[told])
    design, asked = ((np.asarray(values) - base.mean) * base.scale for values in (learned[told], messages))
    target = answers[told] - answers[told].mean()
    ridge = RIDGE * len(design) * np.eye(design.shape[1])
    scores: Values = asked @ np.linalg.solve(design.T @ design + ridge, design.T @ target)
    return scores


def _share_of_like(learned: Values, yes: NDArray[np.bool_], messages: Values) -> Values:
    states = np.unique(learned, axis=0)
    place = {tuple(state): k for k, state in enumerate(states)}
    rows = np.array([place[tuple(message)] for message in learned])
    count = np.bincount(rows, minlength=len(states))
    # One more of average people, so that a message seen once is not believed.
    share = (np.bincount(rows, yes, len(states)) + yes.mean()) / (count + 1)
    share = np.append(share, yes.mean())
    found: Values = share[[place.get(tuple(message), len(states)) for message in messages]]
    return found


def _figures(scores: Values, answers: NDArray[np.int8], identity: NDArray[np.int64]) -> dict[str, Any] | None:
    kept, labels = known(scores, answers)
    if labels.all() or not labels.any():
        return None
    people = identity[answers != 0]
    rounds = [weighted_areas(kept, labels, weights)[0] for weights in person_weights(people)]
    return {"auc": auc(kept, labels), "auc_95": list(bounds(np.concatenate(rounds))), "chance": CHANCE}
