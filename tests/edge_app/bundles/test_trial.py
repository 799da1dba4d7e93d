"""The gate by itself: what a bundle has to show, and until when."""

from edge_app.bundles.trial import INFERENCES, PATIENCE_NS, Trial
from lsi.rollback import RollbackReason
from lsi.units import NS_PER_S


def test_it_passes_with_the_twentieth_inference_and_an_answer() -> None:
    trial = Trial(0, NS_PER_S, acknowledged=5)
    for count in range(1, INFERENCES + 1):
        assert not trial.has_passed(6)
        assert trial.percentage == 100 * (count - 1) // INFERENCES
        trial.inferred()
    assert not trial.has_passed(5)
    assert trial.has_passed(6)


def test_its_patience_grows_with_the_pause_between_scans() -> None:
    for interval_s in (1, 60):
        trial = Trial(0, interval_s * NS_PER_S, acknowledged=None)
        until_ns = PATIENCE_NS + 2 * INFERENCES * interval_s * NS_PER_S
        assert trial.failure(until_ns - 1, 0) is None
        failure = trial.failure(until_ns, 0)
        assert failure is not None
        assert failure.reason is RollbackReason.FEW_INFERENCES


def test_what_has_passed_does_not_fail_any_more() -> None:
    trial = Trial(0, NS_PER_S, acknowledged=None)
    for _ in range(INFERENCES):
        trial.inferred()
    assert trial.failure(10**18, 0) is None
