import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_app.disclosure.policy import ScanStamp, disclose, in_force
from lsi.attributes import ATTR_LITE, AttributeLogits, AttributeSchema
from lsi.bundle import Bundle, GoldenOffsets, GoldenVectors, golden_json, parse_bundle, write_bundle
from lsi.disclosure import DisclosurePolicy, PayloadMode
from lsi.latent import LatentForm
from lsi.manifest import canonical_json
from lsi.payload import AttributePayload
from tests.bundles import small_files, small_manifest

STAMP = ScanStamp("hall1", "0123456789abcdef", 3, "2026-11-22T12:00:00.000Z", "ntp", "89abcdef", 30.0, 0.1)
NAMES = ("Male", "Smiling", "Young", "Eyeglasses")
SCHEMA = AttributeSchema(NAMES, (0.0, 0.0, 0.0, 0.0), 0.0)
ALLOWED = st.frozensets(st.sampled_from(sorted(ATTR_LITE)))
VALUES = st.lists(st.floats(-9, 9, width=32), min_size=5, max_size=5)


def logits(values: list[float]) -> AttributeLogits:
    return AttributeLogits(np.array(values, np.float32), SCHEMA)


@given(VALUES, ALLOWED)
def test_only_what_the_policy_names_can_leave(values: list[float], allowed: frozenset[str]) -> None:
    payload = disclose(logits(values), DisclosurePolicy(allowed), STAMP)
    assert set(payload.attributes) == allowed & set(NAMES)
    assert b"Male" not in payload.encode()


@given(VALUES)
def test_answers_are_yes_no_or_null_and_no_logit_is_in_the_payload(values: list[float]) -> None:
    encoded = disclose(logits(values), DisclosurePolicy(), STAMP).encode()
    document = json.loads(encoded)
    assert all(answer in {True, False, None} for answer in document["a"].values())
    assert not any(repr(value).encode() in encoded for value in values if abs(value) > 0.2 and value % 1)


def test_without_a_face_nothing_is_said_about_a_person() -> None:
    payload = disclose(logits([9, 9, 9, 9, -1]), DisclosurePolicy(), STAMP)
    assert payload.face is False
    assert dict(payload.attributes) == {"Smiling": None, "Eyeglasses": None}


@pytest.mark.parametrize(("value", "answer"), [(1.0, True), (-1.0, False)])
def test_with_a_face_each_attribute_has_its_own_answer(value: float, answer: bool) -> None:
    payload = disclose(logits([0, value, 0, -value, 1]), DisclosurePolicy(), STAMP)
    assert payload.face is True
    assert dict(payload.attributes) == {"Smiling": answer, "Eyeglasses": not answer}


def test_an_attribute_too_close_to_call_leaves_as_null_whichever_way_it_leans() -> None:
    bands = ((0.0, 0.0), (-1.0, 1.0), (0.0, 0.0), (0.0, 0.0))
    schema = AttributeSchema(NAMES, (0.0, 0.0, 0.0, 0.0), 0.0, bands)
    payloads = [
        disclose(
            AttributeLogits(np.array([0, value, 0, 1, 1], np.float32), schema), DisclosurePolicy(), STAMP
        )
        for value in (-0.5, 0.5)
    ]
    assert [dict(payload.attributes) for payload in payloads] == [{"Smiling": None, "Eyeglasses": True}] * 2
    assert payloads[0].encode() == payloads[1].encode()
    assert AttributePayload.decode(payloads[0].encode()).attributes["Smiling"] is None


def test_an_empty_policy_leaves_presence_alone() -> None:
    payload = disclose(logits([1, 1, 1, 1, 1]), DisclosurePolicy(frozenset()), STAMP)
    assert (payload.face, dict(payload.attributes)) == (True, {})


def lying_bundle(mode: str, names: list[str]) -> Bundle:
    """A bundle that answers ``names`` and says that it is for ``mode``."""
    attributes = {"names": names, "thresholds": [0] * len(names), "presence_threshold": 0}
    inputs, outputs = np.zeros((1, 3), np.float32), np.zeros((1, len(names) + 1), np.float32)
    latent = LatentForm("small", 4, 6, "ab" * 32) if mode == PayloadMode.LATENT else None
    offsets = None if latent is None else GoldenOffsets(np.zeros((1, 4, 6), np.float32), 0.1)
    files = small_files(
        attributes=canonical_json(attributes),
        policy=canonical_json({"mode": mode, "attributes": names}),
        golden=golden_json(GoldenVectors(inputs, outputs, 0.1, offsets)),
    )
    return parse_bundle(write_bundle(small_manifest(files, mode=mode, latent=latent), files), "lies")


def test_a_bundle_for_a_wide_mode_does_not_widen_the_policy_of_the_device() -> None:
    policy = in_force(DisclosurePolicy(), lying_bundle("latent", ["Smiling", "Male", "Pale_Skin"]))
    assert policy == DisclosurePolicy(frozenset({"Smiling"}), PayloadMode.ATTR_LITE)


@pytest.mark.parametrize("name", ["Male", "male", "Unheard_Of", "Blurry", "Pale_Skin"])
def test_a_bundle_that_calls_itself_attr_lite_gets_no_other_attribute_out(name: str) -> None:
    wide = DisclosurePolicy(frozenset({"Smiling", "Male"}), PayloadMode.AGG)
    for policy in (DisclosurePolicy(), DisclosurePolicy(mode=PayloadMode.ATTR), wide):
        assert in_force(policy, lying_bundle("attr-lite", ["Smiling", name])).allowed <= {"Smiling", "Male"}
    assert in_force(DisclosurePolicy(), lying_bundle("attr", [name])).allowed == set()


def test_a_bundle_narrows_the_mode_too() -> None:
    policy = in_force(DisclosurePolicy(mode=PayloadMode.ATTR), lying_bundle("agg", ["Smiling"]))
    assert policy == DisclosurePolicy(frozenset({"Smiling"}), PayloadMode.AGG)
