import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from firmware.realtime import PRIORITY
from lab.signed_copy import SignedCopy
from tests.hardware_data.syscall_filter import LIBSECCOMP, allowed_calls, settings

ROOT = Path(__file__).parents[2]
DATA = ROOT / "hardware/systemd"
UNIT = DATA / "lsi-edge.service"
GROUPS = ["spi", "gpio", "dialout", "plugdev"]
THRESHOLD = 20
"""In tenths of systemd-analyze's exposure; its own word for 2.0 is "OK"."""

needs_systemd_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (apt install systemd)"
)


def exposure(unit: Path) -> subprocess.CompletedProcess[str]:
    command = [
        "systemd-analyze",
        "security",
        "--offline=yes",
        f"--threshold={THRESHOLD}",
        "--no-pager",
        str(unit),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def unit_without(tmp_path: Path, line: str) -> Path:
    text = UNIT.read_text("utf-8")
    assert f"\n{line}\n" in text
    path = tmp_path / UNIT.name
    path.write_text(text.replace(f"\n{line}\n", "\n"), "utf-8")
    return path


@needs_systemd_analyze
class TestExposure:
    def test_is_within_the_threshold(self) -> None:
        result = exposure(UNIT)
        assert result.returncode == 0, result.stdout

    @pytest.mark.parametrize("line", ["NoNewPrivileges=yes", "DevicePolicy=closed", "ProtectHome=yes"])
    def test_is_too_high_when_a_wall_is_missing(self, tmp_path: Path, line: str) -> None:
        assert exposure(unit_without(tmp_path, line)).returncode != 0


@needs_systemd_analyze
def test_systemd_knows_every_line_of_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    text = re.sub(
        r"^ExecStart=\S+", f"ExecStart={sys.executable}", UNIT.read_text("utf-8"), flags=re.MULTILINE
    )
    for addition, complaint in (("", ""), ("Foo=bar\n", "Foo")):
        unit.write_text(text + addition, "utf-8")
        result = subprocess.run(
            ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
        )
        ours = [line for line in result.stderr.splitlines() if UNIT.name in line]
        assert bool(ours) == bool(complaint)
        assert complaint in "".join(ours)


def test_the_pacing_thread_may_have_the_priority_that_it_asks_for() -> None:
    (limit,) = settings(UNIT, "LimitRTPRIO")
    assert int(limit) >= PRIORITY
    assert settings(UNIT, "LimitMEMLOCK") == ["infinity"]
    assert "RestrictRealtime=" not in re.sub(r"^#.*$", "", UNIT.read_text("utf-8"), flags=re.MULTILINE)


def test_devices_are_those_of_a_rig_and_never_a_camera() -> None:
    assert settings(UNIT, "DevicePolicy") == ["closed"]
    assert settings(UNIT, "DeviceAllow") == [
        f"char-{name} rw" for name in ("spi", "gpiochip", "hidraw", "ttyACM")
    ]


def test_the_groups_are_those_that_udev_gives_the_devices_to() -> None:
    assert settings(UNIT, "SupplementaryGroups") == [" ".join(GROUPS)]
    rules = (ROOT / "hardware/udev/70-lsi.rules").read_text("utf-8")
    assert set(re.findall(r'GROUP="(\w+)"', rules)) == set(GROUPS)
    accounts = (DATA / "lsi.sysusers.conf").read_text("utf-8")
    for group in GROUPS:
        assert re.search(rf"^g {group} +-$", accounts, re.MULTILINE)
        assert f"m lsi {group}\n" in accounts


def test_the_folders_of_the_unit_are_made_with_the_same_modes() -> None:
    folders = (DATA / "lsi.tmpfiles.conf").read_text("utf-8")
    assert f"d /etc/lsi       {settings(UNIT, 'ConfigurationDirectoryMode')[0]} root lsi -" in folders
    assert f"d /var/lib/lsi   {settings(UNIT, 'StateDirectoryMode')[0]} lsi lsi -" in folders
    (credential,) = settings(UNIT, "LoadCredential")
    assert f"d {credential.partition(':')[2]} 0700 root root -" in folders


@needs_systemd_analyze
class TestSystemCalls:
    def test_that_ask_for_time_priority_and_locked_memory_are_allowed(self) -> None:
        allowed = allowed_calls(UNIT)
        assert {"clock_adjtime", "sched_setscheduler", "mlockall"} <= allowed

    def test_that_load_trace_or_take_over_are_not(self) -> None:
        refused = {"init_module", "ptrace", "mount", "setuid", "bpf", "reboot", "clock_settime", "adjtimex"}
        assert allowed_calls(UNIT) & refused == set()

    def test_of_a_simulated_run_are_all_allowed(self, signed: SignedCopy, tmp_path: Path) -> None:
        if not Path(f"/usr/lib/{sys.implementation._multiarch}/{LIBSECCOMP}").exists():
            pytest.skip("libseccomp is not installed (apt install libseccomp2)")
        config = tmp_path / "config.toml"
        config.write_text(
            f'device_id = "d"\nboard = "sim-mcp3208"\nbundle = {json.dumps(str(signed.bundle))}\n'
            f"state = {json.dumps(str(tmp_path))}\n"
            f"trust = {{ keys = [{json.dumps(str(signed.public_key))}] }}\n"
            '[mqtt]\nhost = "127.0.0.1"\ntls = { mode = "off" }\n[scan]\ninterval_s = 0\n',
            "utf-8",
        )
        inside = [sys.executable, "-m", "tests.hardware_data.syscall_filter", str(UNIT), sys.executable]
        run = ["-m", "edge_app.cli", "run", "--config", str(config), "--simulate", "--print", "--scans", "2"]
        result = subprocess.run(
            [*inside, *run], capture_output=True, text=True, check=False, cwd=ROOT, timeout=60
        )
        assert result.returncode == 0, result.stderr
        assert "/attr " in result.stdout

    def test_that_are_refused_fail_inside_the_filter(self) -> None:
        program = (
            "import errno, mmap, os, time\n"
            "from edge_app.wall_clock import SystemWallClock\n"
            "try: os.sched_setaffinity(0, [0])\n"
            "except PermissionError: print('affinity')\n"
            "try: time.clock_settime(time.CLOCK_REALTIME, time.time())\n"
            "except PermissionError: print('clock')\n"
            "try: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)\n"
            "except OSError: print('executable')\n"
            "print(SystemWallClock()._adjtimex(bytes(256)) >= 0)\n"
        )
        inside = [sys.executable, "-m", "tests.hardware_data.syscall_filter", str(UNIT), sys.executable]
        result = subprocess.run(
            [*inside, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
        )
        assert result.stdout.split() in (
            ["affinity", "clock", "executable", "True"],
            ["affinity", "clock", "True"],
        )
