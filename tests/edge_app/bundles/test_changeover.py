"""The service goes over to a staged bundle, tries it, keeps it or goes back; whatever happens meanwhile."""

import errno
import logging
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from edge_app.bundles import trial
from edge_app.bundles.admission import Admitted
from edge_app.bundles.changeover import BROKEN_NS, RETRY_NS, Changeover
from edge_app.bundles.slot_files import DiskFiles
from edge_app.bundles.slot_table import Happened, Held, SlotName, Standing
from edge_app.bundles.trial import PATIENCE_NS
from lsi.attributes import ATTR_LITE, AttributeLogits
from lsi.bundle import Bundle, open_archive, write_bundle
from lsi.command_documents import Accepted, Reason, Refused
from lsi.disclosure import DisclosurePolicy, PayloadMode
from lsi.errors import SlotError
from lsi.manifest import canonical_json
from lsi.measurement import Measurement
from lsi.problems import Problem
from lsi.rollback import RollbackReason
from lsi.units import NS_PER_S
from lsi.update_state import UpdateState
from tests.bundles import small_manifest
from tests.edge_app.bundles.slot_bench import NEW, OLD, SlotBench, admit_small, small
from tests.edge_app.test_service import BLACK, BRIGHT, GLARE, FixedEncoder

PATIENCE_S = PATIENCE_NS // NS_PER_S
FEW = 6


@pytest.fixture(autouse=True)
def _few_inferences(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Simulated scans cost time; one test asks for the twenty of a real trial."""
    if "twenty" not in request.node.name:
        monkeypatch.setattr(trial, "INFERENCES", FEW)


def test_a_staged_bundle_is_tried_on_command_and_kept(tmp_path: Path) -> None:
    bench = SlotBench(tmp_path)
    bench.put(NEW)
    bench.run(14, {3: bench.command})
    assert bench.replies == [Accepted()]
    assert bench.held(Standing.ACTIVE).version == "1.1.0"
    assert bench.table.highest_epoch == 2
    assert [payload.seq for payload in bench.payloads] == list(range(1, 15))  # no scan is lost
    assert len({payload.stream for payload in bench.payloads}) == 1
    changed = bench.versions.index("1.1.0")
    assert set(bench.versions[:changed]) == {"1.0.0"}
    assert set(bench.versions[changed:]) == {"1.1.0"}
    assert changed <= 6


def test_a_scan_is_told_under_the_bundle_that_made_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is still at a scan of the old bundle when the new one is about to be entered."""
    is_entered, encoded, original = threading.Event(), Counter[str](), Changeover.entered

    class Slow(FixedEncoder):
        def __init__(self, version: str, bundle: Bundle) -> None:
            super().__init__(bundle)
            self.version = version

        def encode(self, measurement: Measurement) -> AttributeLogits:
            encoded[self.version] += 1
            if self.version == "1.0.0" and bench.table.slot_of(Standing.TRIAL):
                is_entered.wait(1.0)
            return super().encode(measurement)

    def admit(content: bytes, path: Path) -> Admitted:
        bundle = admit_small(content, path).bundle
        return Admitted(bundle, Slow(bundle.manifest.version, bundle))  # type: ignore[arg-type] # of tests

    def entered(changes: Changeover) -> None:
        original(changes)
        is_entered.set()

    monkeypatch.setattr(Changeover, "entered", entered)
    bench = SlotBench(tmp_path, None)
    bench.commit(OLD)
    bench.rules = replace(bench.rules, admit=admit)
    bench.put(NEW)
    bench.run(12, {1: bench.command})
    assert encoded == Counter(bench.versions)
    assert len(encoded) == 2


def test_home_assistant_sees_what_is_staged_how_far_it_is_and_what_is_installed(tmp_path: Path) -> None:
    bench = SlotBench(tmp_path)
    bench.run(2)
    assert bench.updates == [UpdateState("1.0.0", "1.0.0")]
    bench.run(16, {2: lambda: bench.put(NEW), 5: bench.command})
    staged = UpdateState("1.0.0", "1.1.0", title="small")
    assert staged in bench.updates
    assert bench.updates[-1] == UpdateState("1.1.0", "1.1.0")
    percentages = [each.percentage for each in bench.updates if each.percentage is not None]
    assert percentages == sorted(percentages)
    assert len(set(percentages)) >= FEW - 2  # the worker may be a scan behind
    assert {each.installed for each in bench.updates if each.in_progress} == {"1.0.0"}
    assert bench.info.bundle_version == "1.1.0"
    assert bench.info.slots is not None
    assert (bench.info.slots.is_trial, bench.info.slots.highest_epoch) == (False, 2)


def test_it_is_not_committed_before_twenty_inferences(tmp_path: Path) -> None:
    bench = SlotBench(tmp_path)
    bench.put(NEW)
    bench.store.activate(offline_ok=False)
    bench.run(trial.INFERENCES)  # the last one is not judged any more
    assert bench.held(Standing.TRIAL).tries_left == 3  # a stop in good order is no try
    bench.run(trial.INFERENCES + 2)  # the worker may be a scan behind
    assert trial.INFERENCES == 20
    assert bench.held(Standing.ACTIVE).version == "1.1.0"


def test_it_is_not_committed_before_an_answer_of_the_broker(tmp_path: Path) -> None:
    bench = SlotBench(tmp_path)
    bench.put(NEW)
    bench.store.activate(offline_ok=False)
    bench.is_broker_there = False
    bench.run(FEW + 5, {FEW + 4: lambda: bench.held(Standing.TRIAL)})
    bench.run(FEW + 5, {FEW + 3: lambda: setattr(bench, "acknowledged", 99)})
    assert bench.held(Standing.ACTIVE).version == "1.1.0"


def test_a_site_without_a_broker_may_say_so(tmp_path: Path) -> None:
    bench = SlotBench(tmp_path)
    bench.is_broker_there = False
    bench.put(NEW)
    bench.store.activate(offline_ok=True)
    bench.run(FEW + 2)
    assert bench.held(Standing.ACTIVE).version == "1.1.0"


def rejected(bench: SlotBench) -> Held:
    held = bench.held(Standing.REJECTED)
    assert bench.health.problems >= {Problem.BUNDLE_ROLLBACK}
    assert bench.info.slots is not None
    told = bench.info.slots.rollback
    assert told is not None
    assert (told.version, told.reason) == (held.version, held.reason)
    assert bench.updates[-1] == UpdateState("1.0.0", "1.0.0")
    return held


def test_a_rig_that_fails_its_self_test_three_times_goes_back_without_having_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = SlotBench(tmp_path)
    bench.commit(OLD)
    bench.put(NEW)
    with caplog.at_level(logging.WARNING):
        bench.run(20, {5: bench.command}, light=lambda scan: BRIGHT if scan < 5 else GLARE)
    held = rejected(bench)
    assert held.reason is RollbackReason.SELF_TEST
    assert "clipped" in held.detail
    assert set(bench.versions) == {"1.0.0"}
    assert bench.held(Standing.ACTIVE).version == "1.0.0"
    failed = [line for line in bench.table.history if line.what is Happened.TRY_FAILED]
    assert len(failed) == 3
    assert "Rolled back from small 1.1.0" in caplog.text
    assert "did not pass its self-test" in caplog.text


def test_a_disturbance_that_passes_costs_a_try_and_no_more(tmp_path: Path) -> None:
    bench = SlotBench(tmp_path)
    bench.put(NEW)
    retry_s = RETRY_NS // NS_PER_S
    bench.run(16, {2: bench.command}, light=lambda scan: GLARE if 3 <= scan < 3 + retry_s else BRIGHT)
    assert bench.held(Standing.ACTIVE).version == "1.1.0"
    assert [line.what for line in bench.table.history].count(Happened.TRY_FAILED) == 1


def test_scans_that_cannot_be_used_end_in_a_rollback(tmp_path: Path) -> None:
    bench = SlotBench(tmp_path)
    bench.put(NEW)

    bench.run(16, {1: bench.command}, light=lambda scan: BRIGHT if scan < 5 else BLACK, every_s=8)
    assert rejected(bench).reason is RollbackReason.SELF_TEST  # what the last try lacked
    failed = [line.detail for line in bench.table.history if line.what is Happened.TRY_FAILED]
    assert "Too few scans could be used." in failed[0]
    assert "of 6 inferences. 3 of 3 masks saw less light" in failed[0]
    assert len(failed) == 3


def test_a_broker_that_stays_away_ends_in_a_rollback(tmp_path: Path) -> None:
    bench = SlotBench(tmp_path)
    bench.put(NEW)
    bench.is_broker_there = False
    bench.run(4 * PATIENCE_S // 6, {1: bench.command}, every_s=6)
    assert rejected(bench).reason is RollbackReason.NO_ACKNOWLEDGEMENT
    last_new = len(bench.versions) - bench.versions[::-1].index("1.1.0")
    assert set(bench.versions[last_new:]) == {"1.0.0"}
    assert len(bench.versions) == bench.payloads[-1].seq  # every scan of either bundle was told


def test_a_service_that_is_killed_three_times_in_its_trial_goes_back_at_the_fourth_start(
    tmp_path: Path,
) -> None:
    bench = SlotBench(tmp_path)
    bench.commit(OLD)
    bench.put(NEW)
    bench.store.activate(offline_ok=False)
    for left in (2, 1, 0):
        bench.run(5, is_killed=True)
        assert bench.held(Standing.TRIAL).tries_left == left
    bench.run(3)
    assert rejected(bench).reason is RollbackReason.KILLED
    assert bench.versions[-3:] == ["1.0.0"] * 3


def test_a_bundle_that_was_killed_once_may_still_pass(tmp_path: Path) -> None:
    bench = SlotBench(tmp_path)
    bench.put(NEW)
    bench.store.activate(offline_ok=False)
    bench.run(5, is_killed=True)
    bench.run(FEW + 5)
    assert bench.held(Standing.ACTIVE).version == "1.1.0"


@pytest.mark.parametrize("factory", [OLD, None], ids=["factory", "slot"])
def test_a_person_can_end_a_trial(tmp_path: Path, factory: bytes | None) -> None:
    bench = SlotBench(tmp_path, factory)
    if factory is None:
        bench.commit(OLD)
    bench.put(NEW)
    bench.run(12, {2: bench.command, 6: lambda: bench.store.roll_back(RollbackReason.BY_HAND)})
    assert rejected(bench).reason is RollbackReason.BY_HAND
    assert "1.1.0" in bench.versions
    assert bench.versions[-1] == "1.0.0"


def test_a_person_can_go_back_to_the_bundle_before(tmp_path: Path) -> None:
    bench = SlotBench(tmp_path, None)
    bench.commit(OLD)
    bench.commit(NEW)
    bench.run(10, {5: bench.store.switch})
    assert bench.versions[:5] == ["1.1.0"] * 5
    assert bench.versions[-4:] == ["1.0.0"] * 4
    assert bench.updates[-1] == UpdateState("1.0.0", "1.0.0")


def test_a_bundle_that_lets_out_more_needs_somebody_at_the_device(tmp_path: Path) -> None:
    narrow = small("0.9.0", policy=canonical_json({"mode": "attr-lite", "attributes": ["Smiling"]}))
    bench = SlotBench(tmp_path, narrow)
    bench.put(OLD)
    bench.run(5, {1: bench.command})
    assert bench.replies == [Refused(Reason.WIDER_POLICY)]
    assert bench.held(Standing.STAGED).version == "1.0.0"
    bench.run(FEW + 5, {1: lambda: bench.store.activate(offline_ok=False)})
    assert bench.held(Standing.ACTIVE).version == "1.0.0"


def test_a_wider_mode_is_wider_too_where_the_device_allows_it(tmp_path: Path) -> None:
    policy_file = canonical_json({"mode": "attr", "attributes": ["Smiling", "Eyeglasses"]})
    files = {**open_archive(NEW, Path("x")).files, "policy.json": policy_file}
    wider = write_bundle(small_manifest(files, version="1.1.0", mode="attr"), files)
    bench = SlotBench(tmp_path)
    policy = DisclosurePolicy(ATTR_LITE, PayloadMode.ATTR)
    bench.rules = replace(bench.rules, policy=policy)
    bench.put(wider)
    bench.run(3, {1: bench.command})
    assert bench.replies == [Refused(Reason.WIDER_POLICY)]


def test_there_has_to_be_something_to_install_and_no_trial_that_goes_on(tmp_path: Path) -> None:
    bench = SlotBench(tmp_path)
    bench.run(4, {1: bench.command})
    bench.put(NEW)
    bench.run(6, {1: bench.command, 4: bench.command})
    assert bench.replies == [Refused(Reason.NOTHING_STAGED), Accepted(), Refused(Reason.BUSY)]


def test_a_first_bundle_that_fails_leaves_nothing_to_run_and_says_so(tmp_path: Path) -> None:
    bench = SlotBench(tmp_path, None)
    with pytest.raises(SlotError, match="No bundle is active"):
        bench.run(1)
    bench.put(NEW)
    with pytest.raises(SlotError, match="one is staged"):
        bench.run(1)
    bench.store.activate(offline_ok=False)
    with pytest.raises(SlotError, match="only bundle was rejected"):
        bench.run(20, light=lambda _: GLARE)
    with pytest.raises(SlotError, match="lsi-edge bundle list says why"):
        bench.run(1)
    bench.store.activate(offline_ok=False, again=True)
    bench.run(FEW + 2)
    assert bench.held(Standing.ACTIVE).version == "1.1.0"


def test_a_slot_that_is_damaged_in_mid_air_is_refused_and_the_old_bundle_goes_on(tmp_path: Path) -> None:
    bench = SlotBench(tmp_path)
    bench.put(NEW)
    bench.run(6, {1: bench.command, 2: lambda: bench.store.path(bench_slot(bench)).write_bytes(b"worn")})
    assert rejected(bench).reason is RollbackReason.REFUSED
    assert set(bench.versions) == {"1.0.0"}


def bench_slot(bench: SlotBench) -> SlotName:
    return next(slot for slot, _ in bench.table.held())


def test_an_active_bundle_that_is_damaged_gives_way_to_the_previous_one(tmp_path: Path) -> None:
    bench = SlotBench(tmp_path, None)
    bench.commit(OLD)
    bench.commit(NEW)
    slot = bench.table.slot_of(Standing.ACTIVE)
    assert slot is not None
    bench.store.path(slot).write_bytes(b"worn")
    bench.run(3)
    assert set(bench.versions) == {"1.0.0"}
    assert bench.held(Standing.ACTIVE).version == "1.0.0"
    assert Happened.DAMAGED in {line.what for line in bench.table.history}


class WornDisk(DiskFiles):
    """A disk that can be read and, while ``is_read_only``, nothing else."""

    is_read_only = False

    def rename(self, source: Path, target: Path) -> None:
        if self.is_read_only:
            raise OSError(errno.EROFS, "Read-only file system", str(target))
        super().rename(source, target)


def test_on_a_disk_that_cannot_be_written_no_try_begins_and_the_sensor_goes_on(tmp_path: Path) -> None:
    disk = WornDisk()
    bench = SlotBench(tmp_path, files=disk)
    bench.put(NEW)
    bench.store.activate(offline_ok=False)
    disk.is_read_only = True
    bench.run(BROKEN_NS // NS_PER_S // 10, every_s=9)
    assert set(bench.versions) == {"1.0.0"}
    assert bench.held(Standing.TRIAL).tries_left == 3
    disk.is_read_only = False
    bench.run(FEW + 5)
    assert bench.held(Standing.ACTIVE).version == "1.1.0"


def test_a_commit_that_cannot_be_written_is_made_later(tmp_path: Path) -> None:
    disk = WornDisk()
    bench = SlotBench(tmp_path, files=disk)
    bench.put(NEW)

    def fill() -> None:
        disk.is_read_only = True

    def free() -> None:
        disk.is_read_only = False

    bench.run(24, {1: bench.command, 5: fill, 15: free}, every_s=6)
    assert bench.held(Standing.ACTIVE).version == "1.1.0"
    assert [payload.seq for payload in bench.payloads] == list(range(1, 25))
