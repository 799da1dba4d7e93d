"""The whole demo: three processes, real broker, shipped bundle."""

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from host.cli import main
from lab.account import Account
from lsi.bundle import write_bundle
from lsi.topics import RECORDS, Kind
from tests.bundles import small_files, small_manifest


@pytest.fixture(params=["mosquitto", "embedded"])
def broker(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    if kind == "mosquitto":
        request.getfixturevalue("mosquitto_path")
    return kind


def test_a_demo_prints_its_payloads_and_the_account(broker: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--frames", "3", "--interval-s", "0.05", "--broker", broker]) == 0
    out = capfd.readouterr().out
    payloads = [line for line in out.splitlines() if re.search(r"demo #\d+  face ", line)]
    assert len(payloads) == 3
    assert "portrait  " in payloads[0]
    assert "demo #1  face yes (yes)" in payloads[0]
    assert "demo #2  face no (no)  Smiling -" in payloads[1]
    assert re.search(r"\| \d+ bytes, scan \d+\.\d ms, encode \d+\.\d ms$", payloads[0])
    assert re.search(r"signed for this run with throwaway key [0-9A-F]{16}\n", out)
    assert re.search(r"mosquitto_sub -h 127\.0\.0\.1 -p \d+ -t 'lsi/#' -v", out)
    account = out.partition("What left the device")[2]
    topics = set(re.findall(r"lsi/v1/demo/(\w+)", account))
    # Two of three scenes with a face make a visit; the other two kinds are those of other payload modes.
    assert topics >= set(Kind) - RECORDS
    assert not topics & {Kind.AGG, Kind.LATENT}
    assert "x 16 numbers: never left" in account
    assert "none was ever made" in account


def test_the_users_own_pictures_are_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (80, 100, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    scene = str(tmp_path / "noise.png")
    assert main(["demo", "--frames", "1", "--interval-s", "0", "--scene", scene]) == 0
    assert re.search(r"noise\.png +demo #1  face no ", capfd.readouterr().out)


def test_an_unreadable_scene_ends_with_code_7(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--scene", str(tmp_path / "gone.png")]) == 7
    assert "gone.png" in capfd.readouterr().err


def test_a_device_that_cannot_start_says_why(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    files = small_files()
    bundle = tmp_path / "b.lsib"
    bundle.write_bytes(write_bundle(small_manifest(files, compatible=("one-arm",)), files))
    assert main(["demo", "--frames", "1", "--bundle", str(bundle)]) == 3
    error = capfd.readouterr().err
    assert "'lsi-edge run' ended with code 16" in error
    assert "needs a board that provides one-arm" in error


def test_what_is_no_bundle_is_not_signed_and_ends_with_code_5(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "b.lsib"
    bundle.write_bytes(b"no bundle")
    assert main(["demo", "--frames", "1", "--bundle", str(bundle)]) == 5
    assert "not a bundle archive" in capfd.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_without_end_is_stopped_with_its_account_and_leaves_no_process(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "host.cli", "demo", "--interval-s", "0.05"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        port = re.search(r"127\.0\.0\.1:(\d+)", demo.stdout.readline())
        assert port is not None
        while "demo #3 " not in demo.stdout.readline():
            pass
        demo.send_signal(number)
        rest = demo.stdout.read()
        assert demo.wait(timeout=20) == 0
    assert re.search(r"availability +2 messages", rest)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(port[1])), timeout=5)


def test_the_account_adds_up() -> None:
    account = Account()
    for size in (10, 20):
        account.add("a/b", size)
    account.add("a/c", 5)
    lines = account.lines(scans=4, d=16, field_px=64)
    assert re.search(r"a/b +2 messages +30 bytes", lines[1])
    assert re.search(r"together +3 messages +35 bytes", lines[3])
    assert "4 x 16 numbers" in lines[5]
