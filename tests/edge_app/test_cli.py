import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_app.cli import main
from edge_app.rig.rig_lock import rig_lock
from firmware.sim.light import encode_light_frame, smooth_field
from lab.bundles import shipped_bundle
from lab.signed_copy import SignedCopy
from lsi.errors import BusError, BusErrorKind, ExposureError, LsiError, TriggerCountError, TriggerTimeoutError
from lsi.payload import AttributePayload

BRIGHT = smooth_field()


def config(tmp_path: Path, signed: SignedCopy | None = None, /, trust: str = "", **changes: str) -> str:
    """A configuration file: the shipped bundle and nobody's key, or a signed copy and its key."""
    bundle = shipped_bundle() if signed is None else signed.bundle
    values = {"device_id": "hall1", "board": "sim-mcp3208", "bundle": str(bundle), "state": "state"}
    values |= changes
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
    if signed is not None:
        trust = f"keys = [{json.dumps(str(signed.public_key))}]"
    text += f"trust = {{ {trust} }}\nlive = {{ every_scan = true }}\n"
    path = tmp_path / "config.toml"
    path.write_text(
        text + '[mqtt]\nhost = "127.0.0.1"\ntls = { mode = "off" }\n[scan]\ninterval_s = 0\n', "utf-8"
    )
    return str(path)


def light_file(tmp_path: Path, *levels: float) -> str:
    path = tmp_path / "light.bin"
    path.write_bytes(b"".join(encode_light_frame(BRIGHT * np.float32(level)) for level in levels))
    return str(path)


def test_scan_tells_everything_but_the_measurement(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "--simulate", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report) == {
        "board", "clock", "d", "samples_per_pattern", "pattern_digest", "digest", "saturated", "duration_ms",
    }  # fmt: skip
    assert (report["d"], report["saturated"], report["clock"]) == (16, 0, "simulated")
    assert len(report["digest"]) == 64


def test_scan_with_a_bundle_shows_its_masks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "--simulate", "--bundle", str(shipped_bundle())]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["d"] == "16"


@pytest.mark.parametrize(("level", "code", "saturated"), [(20.0, 12, 16), (0.0, 13, 0)])
def test_a_scan_in_wrong_light_reports_and_ends_with_its_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], level: float, code: int, saturated: int
) -> None:
    assert main(["scan", "--simulate", "--json", "--light", light_file(tmp_path, level)]) == code
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert (report["digest"], report["saturated"]) == (None, saturated)
    assert "Try: " in captured.err


def test_run_prints_one_payload_per_scan(
    signed: SignedCopy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    light = light_file(tmp_path, 1.0, 0.5)
    assert main(["run", "--config", config(tmp_path, signed), "--simulate", "--print", "--light", light]) == 0
    lines = [line.split(" ", 1) for line in capsys.readouterr().out.splitlines()]
    assert [topic.rpartition("/")[2] for topic, _ in lines[:2]] == ["info", "health"]
    payloads = [AttributePayload.decode(text.encode()) for topic, text in lines if topic.endswith("/attr")]
    assert [payload.seq for payload in payloads] == [1, 2]


def test_two_services_never_share_a_state_folder_and_a_look_is_free(
    signed: SignedCopy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ["run", "--config", config(tmp_path, signed), "--simulate", "--scans", "1"]
    (tmp_path / "state").mkdir()
    with rig_lock(tmp_path / "state"):
        assert main(run) == 4
        assert "Another program drives the rig" in capsys.readouterr().err
        assert main([*run, "--print"]) == 0


def test_a_message_that_may_not_leave_ends_run_with_code_40_and_nothing_is_printed(
    signed: SignedCopy, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = AttributePayload.encode

    def chatty(payload: AttributePayload) -> bytes:
        return honest(payload).replace(b'"Smiling":', b'"Male":true,"Smiling":')

    monkeypatch.setattr(AttributePayload, "encode", chatty)
    arguments = ["run", "--config", config(tmp_path, signed), "--simulate", "--print", "--scans", "3"]
    assert main(arguments) == 40
    printed = capsys.readouterr()
    assert "/attr " not in printed.out
    assert "was stopped at the way out" in printed.err
    assert "Male" not in printed.err


def test_run_reads_light_from_standard_input(signed: SignedCopy, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edge_app.cli", "run", "--config", config(tmp_path, signed)]
    frames = encode_light_frame(BRIGHT) * 2
    result = subprocess.run(
        [*command, "--simulate", "--print", "--light", "-"], input=frames, capture_output=True, check=True
    )
    assert result.stdout.count(b"/attr ") == 2


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"device_id": "A"}, 3, "device_id"),
        ({"colour": "red"}, 3, "unknown key 'colour'"),
        ({"board": "nothing"}, 3, "There is no shipped board 'nothing'"),
        ({"bundle": "gone.lsib"}, 14, "No readable bundle"),
    ],
)
def test_each_wrong_configuration_ends_with_its_code_and_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, str], code: int, said: str
) -> None:
    assert main(["run", "--config", config(tmp_path, **changes)]) == code
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_a_corrupt_bundle_ends_with_code_15(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = bytearray(shipped_bundle().read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "b.lsib").write_bytes(content)
    assert main(["run", "--config", config(tmp_path, bundle="b.lsib"), "--simulate"]) == 15
    assert "not as the manifest says" in capsys.readouterr().err


def test_run_refuses_an_unsigned_bundle_with_the_command_that_signs_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--config", config(tmp_path), "--simulate", "--print", "--scans", "1"]) == 21
    captured = capsys.readouterr()
    command = f"lsi bundle sign {shlex.quote(str(shipped_bundle()))} --key owner.key"
    assert captured.err.endswith(f"is not signed. Try: {command}\n")
    assert captured.out == ""


def test_run_refuses_a_bundle_whose_signer_it_does_not_trust(
    signed: SignedCopy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(tmp_path, bundle=str(signed.bundle))
    assert main(["run", "--config", path, "--simulate", "--print", "--scans", "1"]) == 22
    error = capsys.readouterr().err
    assert f"signed with key {signed.key_name}; trusted are: none" in error
    assert f"Try: lsi bundle sign {signed.bundle} --key owner.key" in error


def test_run_on_a_simulated_board_can_be_told_to_take_an_unsigned_bundle(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config(tmp_path, trust="allow_unsigned = true")
    assert main(["run", "--config", path, "--simulate", "--print", "--scans", "1"]) == 0
    out, err = capsys.readouterr()
    assert "/attr " in out
    assert "is not signed" in err


def test_run_on_a_real_board_cannot_be_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = config(tmp_path, trust="allow_unsigned = true", board="pi-dlpc900-mcp3208")
    assert main(["run", "--config", path, "--print"]) == 3
    assert (
        "trust.allow_unsigned is set, and board 'pi-dlpc900-mcp3208' is not simulated"
        in capsys.readouterr().err
    )


def test_light_that_makes_no_sense_ends_with_code_4(tmp_path: Path) -> None:
    path = tmp_path / "light.bin"
    path.write_bytes(b"no light")
    assert main(["scan", "--simulate", "--light", str(path)]) == 4


def test_light_that_is_not_there_ends_with_code_7(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "--simulate", "--light", str(tmp_path / "gone.bin")]) == 7
    assert "gone.bin" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (lambda: TriggerTimeoutError("x"), 9),
        (lambda: TriggerCountError("x"), 10),
        (lambda: ExposureError("x"), 11),
        (lambda: BusError("x", kind=BusErrorKind.NO_DEVICE), 4),
    ],
)
def test_a_scan_that_fails_ends_with_the_code_of_its_reason(
    monkeypatch: pytest.MonkeyPatch, error: Callable[[], LsiError], code: int
) -> None:
    def fail(*_: object) -> None:
        raise error()

    monkeypatch.setattr("firmware.rig.run_scan", fail)
    assert main(["scan", "--simulate"]) == code


def test_show_config_prints_what_is_in_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = config(tmp_path, trust='keys = ["owner.pub"]')
    assert main(["show-config", "--config", text]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["trust"] == {"keys": [str(tmp_path / "owner.pub")], "allow_unsigned": False}
    assert shown["mqtt"] == {"host": "127.0.0.1", "port": 1883, "keepalive_s": 15, "tls": "off"}
    assert shown["policy"]["mode"] == "attr-lite"


@pytest.mark.parametrize("command", ["run", "scan", "show-config"])
def test_every_help_ends_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert "Example: lsi-edge " in capsys.readouterr().out.rpartition("\n\n")[2]


def test_a_wrong_command_line_ends_with_code_2() -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["scan", "--fast"])
    assert stopped.value.code == 2


@pytest.mark.parametrize("before", [(), ("--log-level", "ERROR"), ("--log-level=ERROR",)])
def test_the_service_starts_without_the_modules_of_other_commands(before: tuple[str, ...]) -> None:
    program = (
        "import contextlib, sys; from edge_app.cli import main\n"
        "with contextlib.suppress(SystemExit): main(sys.argv[1:])\n"
        "print(*(name for name in sys.modules if name.endswith('_command')))"
    )
    command = [sys.executable, "-c", program, *before, "run", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "edge_app.cli_commands.run_command"


@pytest.mark.parametrize("arguments", [("--help",), ("rum",), ("--log-level", "run", "--help")])
def test_whoever_asks_for_no_command_is_told_all_of_them(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    captured = capsys.readouterr()
    if arguments == ("--help",):
        assert {"run", "scan", "wipe", "show-config"} <= set(captured.out.split())
    elif arguments == ("rum",):
        assert all(name in captured.err for name in ("run", "scan", "wipe", "show-config"))
    else:
        assert "invalid choice: 'run'" in captured.err


def test_every_command_module_is_declared() -> None:
    folder = Path(main.__code__.co_filename).parent
    modules = {path.stem for path in folder.glob("*_command.py")} - {"doctor_tls_command"}
    declared = set(re.findall(r"edge_app\.(\w+_command)", (folder / "all_commands.py").read_text("utf-8")))
    assert declared == modules
