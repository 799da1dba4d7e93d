"""No mode lets a withheld name, a probability or a logit into any topic or log line."""

import logging
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_app.disclosure.aggregate import AggRules
from edge_app.disclosure.policy import in_force
from edge_app.link.egress import EgressGuard
from edge_app.link.egress_rules import ResultTerms
from edge_app.link.publisher import message_of
from edge_app.service import Parts, Service
from firmware.factory import open_rig
from firmware.sim.clock import SimClock
from firmware.sim.light import LightSequence
from lsi.attribute_classes import AttributeClass, built_in_classes
from lsi.attributes import ATTR_LITE, AttributeLogits
from lsi.bundle import Bundle
from lsi.disclosure import DisclosurePolicy, PayloadMode, permitted
from lsi.latent import LatentOffset
from lsi.measurement import Measurement
from lsi.topics import Kind
from lsi.units import NS_PER_S
from tests.architecture.test_no_value_leaves import NoonClock, leaks
from tests.edge_app.disclosure.test_policy import lying_bundle
from tests.edge_app.test_service import BOARD, BRIGHT, CONFIG, RecordingPublisher

TABLE = built_in_classes()
NAMES = [*sorted(TABLE.by_name), "Unheard_Of"]
STREAM = "0123456789abcdef"


class Sure:
    """An encoder that sees a face and is sure of everything; time passes with each look."""

    def __init__(self, bundle: Bundle, clock: SimClock) -> None:
        self.bundle, self.clock = bundle, clock
        self.logits = np.random.default_rng(5).normal(3, 1, len(NAMES) + 1).astype(np.float32)

    def encode(self, _: Measurement) -> AttributeLogits:
        self.clock.advance(5 * NS_PER_S)
        return AttributeLogits(np.abs(self.logits), self.bundle.attributes)

    def encode_latent(self, _: Measurement) -> tuple[AttributeLogits, LatentOffset]:
        raise AssertionError("no latent is read out where nobody seals one")


@pytest.mark.parametrize("mode", PayloadMode)
@pytest.mark.parametrize("bundle_mode", [PayloadMode.ATTR_LITE, PayloadMode.LATENT])
def test_what_the_policy_keeps_is_nowhere(
    mode: PayloadMode, bundle_mode: PayloadMode, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundle, clock, publisher = lying_bundle(bundle_mode, NAMES), SimClock(), RecordingPublisher()
    asked = DisclosurePolicy(permitted(frozenset(NAMES), mode, TABLE), mode)
    config = replace(CONFIG, policy=asked, state=tmp_path, agg=AggRules(60))
    encoder = Sure(bundle, clock)
    with caplog.at_level(logging.DEBUG), open_rig(BOARD, LightSequence([BRIGHT] * 14)) as rig:
        parts = Parts(rig, bundle, encoder, publisher, NoonClock(), clock, STREAM)
        Service(config, parts).run(threading.Event())
    policy = in_force(asked, bundle)
    guard = EgressGuard("hall1", ResultTerms.of(policy, bundle, STREAM))
    for kind, payload in publisher.sent:
        guard.check(message_of("hall1", kind, payload))
    said = b"\n".join(payload for _, payload in publisher.sent) + caplog.text.encode()
    for name in NAMES:
        assert (b'"' + name.encode() + b'"' in said) <= (name in policy.allowed), name
        if TABLE.kind_of(name) in {AttributeClass.BLOCKED, AttributeClass.LOCAL}:
            assert name.encode() not in said
    if policy.mode is not PayloadMode.AGG:
        assert policy.allowed == ATTR_LITE
        assert publisher.of(Kind.ATTR)
    else:
        assert publisher.of(Kind.AGG)
        assert not publisher.of(Kind.ATTR)
    assert leaks(said, np.abs(encoder.logits)) == []
