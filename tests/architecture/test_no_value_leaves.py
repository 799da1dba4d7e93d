"""Fence 4, semantic: no light, count, measurement or logit in any payload, log line or file."""

import base64
import logging
import os
import re
import secrets
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import edge_app.service
from edge_app.inference.encoder import TfliteEncoder
from edge_app.service import Parts, Service
from firmware.factory import open_rig
from firmware.sim.clock import SimClock
from firmware.sim.light import LightSequence
from lab.bundles import shipped_bundle
from lsi.attributes import AttributeLogits
from lsi.bundle import read_bundle
from lsi.measurement import Measurement
from tests.edge_app.test_service import BOARD, CONFIG, RecordingPublisher

SCENE = np.random.default_rng(11).random((64, 64)).astype(np.float32)


def written_forms(values: NDArray[np.floating]) -> Iterator[bytes]:
    """Ways in which an array could be written down: bytes, hex, base64, decimals."""
    for dtype in (np.float32, np.float64, np.float16):
        raw = values.astype(dtype).tobytes()
        yield raw[:8]
        yield raw[:8].hex().encode()
        yield base64.b64encode(raw)[:10]
    for value in values.reshape(-1)[:64]:
        for digits in (3, 4, 6):
            text = f"{abs(value):.{digits}f}"
            # Shorter texts would be found by chance.
            if len(text) >= 5 and abs(value) > 1e-3:
                yield text.encode()


def is_written(form: bytes, output: bytes) -> bool:
    """Whether ``form`` is in ``output``; a number only where one begins: ``10.339`` is not ``0.339``."""
    start = rb"(?<![\d.])" if form[:1].isdigit() and b"." in form else b""
    return re.search(start + re.escape(form), output) is not None


def leaks(output: bytes, *known: NDArray[np.floating]) -> list[bytes]:
    return [form for values in known for form in written_forms(values) if is_written(form, output)]


class NoonClock:
    """A wall clock that stands still: nothing that it writes can look like a measured value."""

    def timestamp(self) -> str:
        return "2026-01-01T12:00:00.000Z"

    def source(self) -> str:
        return "ntp"


@dataclass
class Evidence:
    """What a run knew, and everything that it wrote anywhere."""

    measurements: list[NDArray[np.float32]] = field(default_factory=list)
    logits: list[NDArray[np.float32]] = field(default_factory=list)
    output: bytes = b""


@pytest.fixture
def evidence(
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> Evidence:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    # The run is the same every time: no stamp or stream id that looks like a value by chance.
    monkeypatch.setattr(secrets, "token_hex", lambda size: "5e" * size)
    found = Evidence()
    bundle = read_bundle(shipped_bundle())

    class Spy(TfliteEncoder):
        def encode(self, measurement: Measurement) -> AttributeLogits:
            logits = super().encode(measurement)
            found.measurements.append(measurement.values)
            found.logits.append(logits.values)
            return logits

    publisher = RecordingPublisher()
    with caplog.at_level(logging.DEBUG), open_rig(BOARD, LightSequence([SCENE] * 3)) as rig:
        parts = Parts(rig, bundle, Spy(bundle), publisher, NoonClock(), SimClock())
        Service(CONFIG, parts).run(threading.Event())
    logged = "\n".join(f"{record.getMessage()} {record.args} {record.exc_text}" for record in caplog.records)
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    payloads = b"\n".join(payload for _, payload in publisher.sent)
    printed = "".join(capfd.readouterr())
    found.output = b"\n".join([logged.encode(), files, payloads, printed.encode()])
    return found


def test_nothing_measured_is_in_any_payload_log_line_print_or_file(evidence: Evidence) -> None:
    assert len(evidence.measurements) == 3
    assert b"Scan 1" in evidence.output
    assert b'"v":"lsi.attr/1"' in evidence.output
    assert leaks(evidence.output, SCENE, *evidence.measurements, *evidence.logits) == []


def test_a_temporary_folder_stays_empty(evidence: Evidence, tmp_path: Path) -> None:
    assert evidence.measurements
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("text", [b"v=0.339", b"[0.3391]", b"\n0.339"])
def test_a_number_is_found_wherever_it_begins(text: bytes) -> None:
    assert is_written(b"0.339", text)


@pytest.mark.parametrize("text", [b"12:00:10.339Z", b"2.0.339"])
def test_the_end_of_another_number_is_no_leak(text: bytes) -> None:
    assert not is_written(b"0.339", text)


class TestTheFenceGoesRed:
    """Each way out that the fence watches, opened on purpose."""

    @pytest.fixture(autouse=True)
    def _leak(self, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
        original = Service._publish

        def leaking(service: Service, seq: int, measurement: Measurement) -> None:
            getattr(self, request.param)(measurement.values)
            original(service, seq, measurement)

        monkeypatch.setattr(Service, "_publish", leaking)

    @staticmethod
    def log_decimals(values: NDArray[np.float32]) -> None:
        edge_app.service.logger.debug("measured %s", [f"{value:.4f}" for value in values])

    @staticmethod
    def print_bytes(values: NDArray[np.float32]) -> None:
        os.write(1, values.tobytes().hex().encode())

    @staticmethod
    def write_file(values: NDArray[np.float32]) -> None:
        with tempfile.NamedTemporaryFile(delete=False) as file:
            file.write(values.tobytes())

    @staticmethod
    def log_exception(values: NDArray[np.float32]) -> None:
        edge_app.service.logger.warning("bad scan: %r", values.tolist())

    @pytest.mark.parametrize(
        "_leak", ["log_decimals", "print_bytes", "write_file", "log_exception"], indirect=True
    )
    def test_a_value_that_gets_out_is_found(self, evidence: Evidence) -> None:
        assert leaks(evidence.output, *evidence.measurements) != []
