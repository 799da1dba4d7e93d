"""The calibration of a rig as a value and as a signed file."""

import datetime as dt
import json
import math
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsi.errors import LsiError, RigCalibrationError, SignatureMismatchError, UntrustedKeyError
from lsi.minisign import SecretKey
from lsi.placement import Placement, PlacementError
from lsi.rig_calibration import (
    MAX_FILE_BYTES,
    UNTRUSTED_COMMENT,
    ArmBalance,
    BlockMap,
    CalibrationLimits,
    Electronics,
    FitQuality,
    PaperScale,
    RigCalibration,
    encode_rig_calibration,
    parse_rig_calibration,
    read_rig_calibration,
    write_rig_calibration,
)

KEY = SecretKey(b"devicekey"[:8], bytes(range(32)))
TAKEN_AT = dt.datetime(2026, 3, 1, 12, 30, 5, tzinfo=dt.UTC)
NOW = TAKEN_AT + dt.timedelta(days=10)
CALIBRATION = RigCalibration(
    board="pi-dlpc900-mcp3208",
    simulated=False,
    taken_at=TAKEN_AT,
    mask_side_px=64,
    mirror_scale_px=16,
    patterns_shown=1232,
    placement=Placement(12.5, -3.25, 1.02, 0.01, is_flipped=True),
    placement_error=PlacementError(0.1, 0.1, 0.001, 0.0005),
    fit=FitQuality(0.0004, (0.0004, 0.0003, 0.0005, 0.0004), 0.001, 0.04),
    electronics=Electronics(ArmBalance(1.05, 0.0002), 0.001, (0.02, 0.03), 0.001),
    throughput=BlockMap((1.0,) * 62 + (0.5, 0.1), (62, 63), (63,)),
    paper=PaperScale(80_000.0, 10.0, -8_000.0, 1.5),
)
CONTENT = encode_rig_calibration(CALIBRATION, KEY)


def signed(document: object, key: SecretKey = KEY, comment: str = CALIBRATION.trusted_comment) -> bytes:
    """A file as a device would sign it, whatever is in it."""
    line = json.dumps(document).encode() + b"\n"
    return line + key.sign(line, comment).to_text(UNTRUSTED_COMMENT)


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(CALIBRATION.to_document()))
    change(document)
    return document


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "rig-calibration.json"
    target.write_bytes(CONTENT)
    return target


def test_what_is_written_is_read(path: Path) -> None:
    path.unlink()
    write_rig_calibration(path, CALIBRATION, KEY)
    assert read_rig_calibration(path, KEY.public_key, CALIBRATION.board, NOW) == CALIBRATION
    assert list(path.parent.iterdir()) == [path]


def test_a_calibration_without_the_papers_scale_is_read_back() -> None:
    plain = replace(CALIBRATION, paper=None)
    assert parse_rig_calibration(encode_rig_calibration(plain, KEY), KEY.public_key, "c") == plain


def test_the_file_is_one_line_of_canonical_json_and_a_signature() -> None:
    line, _, tail = CONTENT.partition(b"\n")
    assert line.startswith(b'{"arms":{"drift_share":0.001,"linearity_worst":0.001,"minus_factor":1.05,')
    assert json.loads(line)["v"] == "lsi.rig-calibration/1"
    assert tail.splitlines()[0] == b"untrusted comment: signature of an lsi rig calibration"
    assert tail.splitlines()[2] == (
        b"trusted comment: lsi rig calibration pi-dlpc900-mcp3208 2026-03-01T12:30:05Z"
    )
    assert encode_rig_calibration(CALIBRATION, KEY) == CONTENT


def test_minisign_verifies_the_two_halves(minisign_path: str, tmp_path: Path) -> None:
    line, _, tail = CONTENT.partition(b"\n")
    (tmp_path / "c").write_bytes(line + b"\n")
    (tmp_path / "c.minisig").write_bytes(tail)
    (tmp_path / "device.pub").write_bytes(KEY.public_key.to_text())
    command = [minisign_path, "-V", "-m", "c", "-p", "device.pub"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, text=True).stdout
    assert CALIBRATION.trusted_comment in said


def test_a_failed_write_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RigCalibrationError, match="No space left"):
        write_rig_calibration(path, replace(CALIBRATION, simulated=True), KEY)
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]


def test_another_boards_calibration_is_refused(path: Path) -> None:
    with pytest.raises(RigCalibrationError, match=r"board 'pi-dlpc900-mcp3208', in use is 'sim-mcp3208'"):
        read_rig_calibration(path, KEY.public_key, "sim-mcp3208", NOW)


def test_another_devices_calibration_is_refused_and_both_keys_are_named(path: Path) -> None:
    other = SecretKey.generate().public_key
    with pytest.raises(UntrustedKeyError, match=f"{KEY.public_key.name}.*{other.name}"):
        read_rig_calibration(path, other, CALIBRATION.board, NOW)


def test_a_stranger_with_the_same_key_id_is_found_out() -> None:
    forged = signed(CALIBRATION.to_document(), SecretKey(KEY.key_id, bytes(32)))
    with pytest.raises(SignatureMismatchError):
        parse_rig_calibration(forged, KEY.public_key, "c")


def test_a_signature_of_another_day_is_found_out() -> None:
    moved = signed(CALIBRATION.to_document(), comment="lsi rig calibration pi 2020-01-01T00:00:00Z")
    with pytest.raises(SignatureMismatchError, match="the signature is one of"):
        parse_rig_calibration(moved, KEY.public_key, "c")


@pytest.mark.parametrize(
    ("days", "said"),
    [(366, "366 days old, at most 365"), (-3, "dated 3 days ahead of this device's clock")],
)
def test_a_calibration_that_is_too_old_or_of_the_future_is_refused(path: Path, days: int, said: str) -> None:
    with pytest.raises(RigCalibrationError, match=said) as refused:
        read_rig_calibration(path, KEY.public_key, CALIBRATION.board, TAKEN_AT + dt.timedelta(days=days))
    assert "lsi-edge calibrate" in refused.value.hint


def test_age_is_not_judged_by_a_clock_that_is_not_set(path: Path) -> None:
    assert read_rig_calibration(path, KEY.public_key, CALIBRATION.board, None) == CALIBRATION


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (CalibrationLimits(max_rms=0.0003), r"residual of the placement 0\.0004 \(at most 0\.0003\)"),
        (CalibrationLimits(max_balance_error=1e-4), "balance"),
        (CalibrationLimits(max_linearity=5e-4), "linearity"),
        (CalibrationLimits(max_drift=5e-4, max_rms=0), "placement .*, drift"),
    ],
)
def test_a_rough_calibration_is_refused_with_every_figure_and_its_limit(
    path: Path, limits: CalibrationLimits, said: str
) -> None:
    with pytest.raises(RigCalibrationError, match=said):
        read_rig_calibration(path, KEY.public_key, CALIBRATION.board, NOW, limits)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.update(colour=1), "unknown key 'colour'"),
        (lambda d: d["placement"].update(shear=0.1), "unknown key 'shear'"),
        (lambda d: d.pop("arms"), "'arms' is a required property"),
        (lambda d: d["placement"].update(scale=5), "5 is greater than the maximum"),
        (lambda d: d["arms"].update(minus_factor=0), "less than the minimum"),
        (lambda d: d["throughput"]["blocks"].pop(), r"throughput\.blocks"),
        (lambda d: d["throughput"]["dim"].append(64), "greater than the maximum"),
        (lambda d: d.update(v="lsi.rig-calibration/2"), "was expected"),
        (lambda d: d.update(taken_at="yesterday"), "does not match"),
        (lambda d: d.update(taken_at="2026-02-31T12:00:00Z"), "day is out of range"),
        (lambda d: d.update(simulated=1), "not of type 'boolean'"),
        (lambda d: d["arms"].update(drift_share=math.nan), "not JSON"),
        (lambda d: d["arms"].update(drift_share=-math.inf), "not JSON"),
        (lambda d: d["paper"].update(per_v="1"), "paper"),
    ],
)
def test_what_the_device_would_never_write_is_refused_even_when_it_is_signed(
    change: Callable[[dict[str, Any]], object], said: str
) -> None:
    with pytest.raises(RigCalibrationError, match=said):
        parse_rig_calibration(signed(changed(change)), KEY.public_key, "c")


def test_a_number_too_large_for_a_float_is_refused() -> None:
    line = json.dumps(CALIBRATION.to_document()).replace("0.0004", "1e999").encode() + b"\n"
    content = line + KEY.sign(line, CALIBRATION.trusted_comment).to_text(UNTRUSTED_COMMENT)
    with pytest.raises(RigCalibrationError, match="greater than the maximum"):
        parse_rig_calibration(content, KEY.public_key, "c")


@pytest.mark.parametrize("content", [b"", b"{}", b"x" * (MAX_FILE_BYTES + 1), b"\n" * (MAX_FILE_BYTES + 1)])
def test_what_is_no_calibration_at_all_is_refused(content: bytes) -> None:
    with pytest.raises(RigCalibrationError, match="not a calibration"):
        parse_rig_calibration(content, KEY.public_key, "c")


@pytest.mark.parametrize("document", [[], 1, "x", None, [[[]]]])
def test_signed_json_of_another_kind_is_refused(document: object) -> None:
    with pytest.raises(RigCalibrationError):
        parse_rig_calibration(signed(document), KEY.public_key, "c")


def test_a_file_that_is_not_there_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RigCalibrationError, match=r"gone\.json cannot be read") as missing:
        read_rig_calibration(tmp_path / "gone.json", KEY.public_key, "b", NOW)
    assert "lsi-edge calibrate" in missing.value.hint


@settings(max_examples=300)
@given(st.integers(0, len(CONTENT) - 1), st.integers(1, 255))
def test_no_changed_byte_gets_through_except_in_the_untrusted_comment(place: int, difference: int) -> None:
    damaged = bytearray(CONTENT)
    damaged[place] ^= difference
    try:
        found = parse_rig_calibration(bytes(damaged), KEY.public_key, "c")
    except LsiError:
        return
    start = CONTENT.index(b"untrusted comment: ")
    assert start <= place < CONTENT.index(b"\n", start)
    assert found == CALIBRATION


@settings(max_examples=200)
@given(st.binary(max_size=600))
def test_random_bytes_are_an_error_of_ours(content: bytes) -> None:
    with pytest.raises(LsiError):
        parse_rig_calibration(content, KEY.public_key, "c")


@settings(max_examples=50)
@given(
    st.dictionaries(
        st.sampled_from(sorted(CALIBRATION.to_document())),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["scale", "rms", "dim"]), inner)
            ),
            max_leaves=6,
        ),
        min_size=1,
    )
)
def test_a_signed_document_with_strange_parts_is_an_error_of_ours(parts: dict[str, Any]) -> None:
    strange = changed(lambda document: document.update(parts))
    try:
        parse_rig_calibration(signed(strange), KEY.public_key, "c")
    except LsiError:
        return
    assert json.dumps(strange) == json.dumps(CALIBRATION.to_document()) or set(parts) <= {
        "paper",
        "simulated",
    }


@settings(max_examples=30)
@given(
    st.floats(-100, 100), st.floats(-100, 100), st.floats(0.5, 2), st.floats(-math.pi, math.pi), st.booleans()
)
def test_every_placement_survives_the_file(
    x: float, y: float, scale: float, rotation: float, is_flipped: bool
) -> None:
    there = replace(CALIBRATION, placement=Placement(x, y, scale, rotation, is_flipped))
    assert parse_rig_calibration(encode_rig_calibration(there, KEY), KEY.public_key, "c") == there


@pytest.mark.parametrize(
    "electronics",
    [
        replace(CALIBRATION.electronics, drift_share=math.nan),
        replace(CALIBRATION.electronics, drift_share=2.0),
        replace(CALIBRATION.electronics, balance=ArmBalance(0.0, 0.0)),
    ],
)
def test_a_value_that_no_file_may_hold_cannot_be_made(electronics: Electronics) -> None:
    with pytest.raises(RigCalibrationError):
        replace(CALIBRATION, electronics=electronics)


def test_no_repr_shows_the_map_of_the_card() -> None:
    assert repr(CALIBRATION) == "RigCalibration(pi-dlpc900-mcp3208, 2026-03-01T12:30:05Z)"
    assert repr(CALIBRATION.throughput) == "BlockMap(dim=2, dead=1)"
