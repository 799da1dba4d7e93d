from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.audit.views import (
    ANSWERS,
    FULL,
    LATENT,
    LITE,
    LOGITS,
    MEASUREMENT,
    Discloser,
    Subject,
    answers_vector,
    latent_vector,
)
from lab.bundles import shipped_bundle
from lsi.attribute_classes import AttributeClass, AttributeClasses, ClassedAttribute, built_in_classes
from lsi.attributes import ATTR_LITE, AttributeLogits, AttributeSchema
from lsi.bundle import read_bundle

LITE_16 = read_bundle(shipped_bundle())
ALL_40 = read_bundle(shipped_bundle("attr-64-0.2.0.lsib"))


def test_the_default_bundle_sends_its_four_answers_and_keeps_scores_and_measurement() -> None:
    subject = Subject(LITE_16)
    assert subject.views == (LITE, LOGITS, MEASUREMENT)
    assert set(subject.lite) == ATTR_LITE
    assert subject.full == ()


def test_mode_attr_sends_what_the_classes_let_out_and_the_other_answers_are_attacked_as_never_sent() -> None:
    subject = Subject(ALL_40)
    assert subject.views == (LITE, FULL, ANSWERS, LOGITS, MEASUREMENT)
    assert set(subject.full) == ATTR_LITE
    assert len(subject.named(ANSWERS)) == len(subject.named(LOGITS)) == 40
    assert subject.named(MEASUREMENT) == ()
    assert "Male" not in subject.named(FULL)


def own_classes(**kinds: AttributeClass) -> AttributeClasses:
    own = {name: ClassedAttribute(kind, "a test", {}) for name, kind in kinds.items()}
    return built_in_classes().with_domain(AttributeClasses(own))


def test_classes_of_an_own_domain_decide_what_mode_attr_sends() -> None:
    schema = AttributeSchema(("digit_1", "digit_2", "digit_3"), (0.0, 0.0, 0.0), 0.0)
    bundle = replace(ALL_40, attributes=schema, allowed=frozenset(schema.names[:2]))
    assert Subject(bundle).views == (ANSWERS, LOGITS, MEASUREMENT)
    classes = own_classes(
        digit_1=AttributeClass.DEFAULT, digit_2=AttributeClass.RESTRICTED, digit_3=AttributeClass.DEFAULT
    )
    assert Subject(bundle, classes).full == ("digit_1",)


def test_a_bundle_for_a_narrower_mode_has_no_view_of_mode_attr() -> None:
    manifest = replace(ALL_40.manifest, mode="attr-lite")
    assert FULL not in Subject(replace(ALL_40, manifest=manifest)).views


values = st.lists(st.floats(-9, 9, width=32), min_size=41, max_size=41)


@given(values)
def test_a_disclosed_row_is_the_payload_and_nothing_else(numbers: list[float]) -> None:
    subject = Subject(ALL_40)
    logits = AttributeLogits(np.array(numbers, np.float32), ALL_40.attributes)
    decided = logits.decisions()
    told = {True: 1.0, False: -1.0, None: 0.0}
    wanted = [told[decided[name]] if logits.presence else 0.0 for name in subject.full]
    assert Discloser.of(subject, FULL).vector(logits) == [told[logits.presence], *wanted]
    every = [told[each] if logits.presence else 0.0 for each in decided.values()]
    assert answers_vector(logits) == [told[logits.presence], *every]


def test_a_latent_is_attacked_in_the_precision_in_which_it_is_sealed() -> None:
    offset = np.array([[1 / 3, 2.0], [-1e-9, 70.125]], np.float32)
    assert latent_vector(offset) == pytest.approx([0.333251953125, 2.0, 0.0, 70.125], abs=1e-7)
    assert LATENT not in Subject(ALL_40).views
