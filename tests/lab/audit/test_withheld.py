from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from lab.audit.attack import Parts
from lab.audit.people import People
from lab.audit.withheld import guesses, recovered
from tests.lab.audit.crowd import three_parts


def relabelled(people: People) -> People:
    """Labels: the sign of number 0, a coin, always yes; and the sent one, number 1."""
    values = people.views["numbers"]
    coin = np.random.default_rng(len(people)).random(len(people)) < 0.5
    columns = (values[:, 0] > 0, coin, np.ones(len(people), bool), values[:, 1] > 0)
    labels = np.stack([np.where(each, 1, -1) for each in columns], axis=1).astype(np.int8)
    return replace(people, labels=labels, label_names=("told", "coin", "always", "sent"))


PARTS = Parts(*map(relabelled, (p := three_parts(60, 3, own=1.0), p.learn, p.tune, p.report)[1:]))


def test_what_is_in_the_message_is_recovered_and_a_coin_is_not() -> None:
    found = recovered(PARTS, "numbers", ("sent",))
    assert set(found) == {"told", "coin"}
    assert found["told"]["auc"] > 0.97
    low, high = found["coin"]["auc_95"]
    assert low < 0.5 < high
    assert found["coin"]["chance"] == 0.5


def test_few_messages_are_answered_by_those_who_sent_the_same() -> None:
    messages = np.repeat([[1.0], [-1.0]], 8, axis=0)
    answers = np.array([1, 1, 1, 1, 1, 1, -1, -1, *[-1] * 6, 0, 0], np.int8)
    found = guesses(messages, answers, np.array([[1.0], [-1.0], [0.0]]))
    prior = 6 / 14
    assert found == pytest.approx([(6 + prior) / 9, prior / 7, prior])


def test_unknown_labels_teach_nothing() -> None:
    generator = np.random.default_rng(0)
    values: NDArray[np.float64] = generator.normal(size=(2000, 2))
    answers = np.where(values[:, 0] > 0, 1, -1).astype(np.int8)
    unknown = answers.copy()
    unknown[1000:] = 0
    assert guesses(values, unknown, values) == pytest.approx(guesses(values[:1000], answers[:1000], values))


def test_an_attribute_with_unknown_labels_alone_is_left_out() -> None:
    report = replace(PARTS.report, labels=PARTS.report.labels * np.array([0, 1, 1, 1], np.int8))
    assert set(recovered(replace(PARTS, report=report), "numbers", ("sent",))) == {"coin"}
