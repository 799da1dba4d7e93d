import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_app.cli_commands.doctor import FEWEST_VERSIONS, Finding, Verdict, diagnose, is_healthy, to_document
from edge_app.cli_commands.doctor_facts import GpioChip, HostFacts
from firmware.boards.board import Board, find_board

STEPPED = find_board("pi-dlpc900-mcp3208")
STREAM = find_board("pi-dlpc900-ad7383-4")
COPROC = find_board("pi-coproc")
SIMULATED = find_board("sim-mcp3208")
CO_PROCESSOR = "dev/serial/by-id/usb-MicroPython_Board_in_FS_mode_e661-if00"
FILES = {
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "sys/bus/usb/devices/1-1/idVendor": "0451\n",
    "sys/bus/usb/devices/1-1/idProduct": "c900\n",
    "sys/bus/usb/devices/1-1/serial": "LCR3\n",
    "sys/bus/usb/devices/1-2/idVendor": "2e8a\n",
    "sys/bus/usb/devices/1-2/idProduct": "0005\n",
    "sys/class/hidraw/hidraw0/device/uevent": "DRIVER=hid-generic\nHID_ID=0003:0000046D:0000C077\n",
    "sys/class/hidraw/hidraw1/device/uevent": "DRIVER=hid-generic\nHID_ID=0003:00000451:0000C900\n",
    "sys/module/spidev/parameters/bufsiz": "65536\n",
    "boot/firmware/config.txt": "# lsi\n[all]\ndtparam=spi=on # for the converter\n",
    "dev/hidraw1": "",
    "dev/spidev0.0": "",
    "dev/spidev0.1": "",
    "dev/gpiochip0": "",
    CO_PROCESSOR: "",
}


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())


@pytest.fixture
def host(tmp_path: Path) -> HostFacts:
    """A Raspberry Pi 5 on which nothing is missing, for any board."""
    write(tmp_path, FILES)
    return HostFacts(
        root=tmp_path,
        user="pi",
        groups=frozenset({"spi", "gpio", "dialout", "plugdev"}),
        kernel="6.12.25+rpt-rpi-2712",
        gpio_chips=(GpioChip("/dev/gpiochip0", "pinctrl-rp1"), GpioChip("/dev/gpiochip10", "gpio-brcmstb")),
        packages={
            "hidapi": "0.15.0",
            "spidev": "3.8",
            "gpiod": "2.5.0",
            "pyserial": "3.5",
            "rpi-lgpio": "0.6",
        },
        rtprio_max=50,
        memlock_bytes=None,
        is_clock_synced=True,
        machine="aarch64",
        is_folder_writable=True,
        may_open=lambda _path: True,
    )


def of(check: str, findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.check == check]


def only(check: str, host: HostFacts, board: Board | None) -> Finding:
    (finding,) = of(check, diagnose(host, board))
    return finding


@pytest.mark.parametrize("board", [STEPPED, STREAM, COPROC, SIMULATED, None])
def test_a_host_that_has_everything_is_healthy(host: HostFacts, board: Board | None) -> None:
    findings = diagnose(host, board)
    assert [finding for finding in findings if finding.verdict is not Verdict.OK] == []
    assert [finding for finding in findings if finding.fix] == []
    assert is_healthy(findings)


def test_what_is_found_is_named(host: HostFacts) -> None:
    assert only("machine", host, STEPPED).found == "Raspberry Pi 5 Model B Rev 1.0"
    assert only("controller", host, STEPPED).found == "DLPC900, LCR3"
    assert only("controller access", host, STEPPED).found == "/dev/hidraw1 opens"
    assert only("spi", host, STEPPED).found == "/dev/spidev0.0 opens"
    assert only("gpio", host, STEPPED).found == "/dev/gpiochip0 opens"
    assert only("co-processor", host, COPROC).found == f"/{CO_PROCESSOR} opens"
    assert only("spi buffer", host, STREAM).found == "spidev.bufsiz 65536, 65408 are needed"


def test_a_survey_lists_what_is_there_and_finds_no_problem_in_what_is_not(
    tmp_path: Path, host: HostFacts
) -> None:
    assert only("serial ports", host, None).found == f"/{CO_PROCESSOR}"
    assert only("gpio", host, None).found == "/dev/gpiochip0 [pinctrl-rp1], /dev/gpiochip10 [gpio-brcmstb]"
    empty = replace(host, root=tmp_path / "bare", gpio_chips=(), packages={})
    findings = diagnose(empty, None)
    assert is_healthy(findings)
    assert {f.check for f in findings if f.verdict is Verdict.WARNING} == {
        "controller", "spi", "package hidapi", "package spidev", "package gpiod", "package pyserial"
    }  # fmt: skip


def test_a_bare_host_has_problems_with_a_real_board_only(tmp_path: Path, host: HostFacts) -> None:
    bare = replace(host, root=tmp_path / "bare", gpio_chips=(), packages={}, kernel="4.19.0")
    problems = {f.check for f in diagnose(bare, STEPPED) if f.verdict is Verdict.PROBLEM}
    assert problems == {
        "kernel", "controller", "spi", "gpio", "package hidapi", "package spidev", "package gpiod"
    }  # fmt: skip
    assert is_healthy(diagnose(bare, SIMULATED))


def test_every_problem_and_every_warning_has_a_fix(tmp_path: Path, host: HostFacts) -> None:
    poor = replace(
        host,
        root=tmp_path / "bare",
        gpio_chips=(),
        packages={"gpiod": "1.6.3", "RPi.GPIO": "0.7.1"},
        rtprio_max=0,
        memlock_bytes=65536,
        is_clock_synced=False,
    )
    for board in (STEPPED, STREAM, COPROC, None):
        for finding in diagnose(poor, board):
            assert (finding.verdict is Verdict.OK) == (finding.fix == ""), finding


class TestController:
    def test_that_is_not_plugged_in_says_how_to_look_for_it(self, tmp_path: Path, host: HostFacts) -> None:
        (tmp_path / "sys/bus/usb/devices/1-1/idProduct").write_text("6401\n")
        finding = only("controller", host, STEPPED)
        assert finding.verdict is Verdict.PROBLEM
        assert "lsusb -d 0451:c900" in finding.fix

    def test_without_a_node_names_the_kernel_module(self, tmp_path: Path, host: HostFacts) -> None:
        (tmp_path / "sys/class/hidraw/hidraw1/device/uevent").unlink()
        finding = only("controller access", host, STEPPED)
        assert finding.verdict is Verdict.PROBLEM
        assert "modprobe usbhid" in finding.fix

    def test_of_another_serial_number_is_not_taken(self, host: HostFacts) -> None:
        wired = replace(STEPPED, modulator=replace(STEPPED.modulator, usb_serial="LCR9"))
        finding = only("controller", host, wired)
        assert (finding.verdict, finding.found) == (Verdict.PROBLEM, "found LCR3, not LCR9")

    def test_one_of_two_has_to_be_named(self, tmp_path: Path, host: HostFacts) -> None:
        write(tmp_path, {
            "sys/bus/usb/devices/2-1/idVendor": "0451",
            "sys/bus/usb/devices/2-1/idProduct": "c900",
            "sys/bus/usb/devices/2-1/serial": "LCR4",
        })  # fmt: skip
        finding = only("controller", host, STEPPED)
        assert (finding.verdict, finding.found) == (Verdict.PROBLEM, "2 of them: LCR3, LCR4")
        assert 'modulator.usb_serial = "LCR3"' in finding.fix
        wired = replace(STEPPED, modulator=replace(STEPPED.modulator, usb_serial="LCR4"))
        assert only("controller", host, wired).verdict is Verdict.OK


class TestAccess:
    @pytest.mark.parametrize(
        ("board", "check", "node", "group"),
        [
            (STEPPED, "controller access", "hidraw1", "plugdev"),
            (STEPPED, "spi", "spidev0.0", "spi"),
            (STEPPED, "gpio", "gpiochip0", "gpio"),
            (COPROC, "co-processor", Path(CO_PROCESSOR).name, "dialout"),
        ],
    )
    def test_is_mended_by_the_group_first_and_by_the_rules_then(
        self, host: HostFacts, board: Board, check: str, node: str, group: str
    ) -> None:
        shut = replace(host, may_open=lambda path: path.name != node)
        finding = only(check, shut, board)
        assert finding.verdict is Verdict.PROBLEM
        rules = re.search(r"install -m 644 (\S+70-lsi\.rules) /etc/udev/rules\.d/", finding.fix)
        assert rules is not None
        assert Path(rules[1]).is_file()
        stranger = replace(shut, groups=shut.groups - {group})
        assert only(check, stranger, board).fix == f"sudo usermod -aG {group} pi, then log in again"

    def test_to_gpio_is_asked_for_where_no_label_could_be_read(self, host: HostFacts) -> None:
        blind = replace(host, gpio_chips=(GpioChip("/dev/gpiochip0", None),), may_open=lambda _path: False)
        assert "/dev/gpiochip0 does not open for pi" in only("gpio", blind, STEPPED).found


class TestSpi:
    def test_that_is_off_is_switched_on(self, tmp_path: Path, host: HostFacts) -> None:
        (tmp_path / "dev/spidev0.0").unlink()
        (tmp_path / "dev/spidev0.1").unlink()
        config = tmp_path / "boot/firmware/config.txt"
        assert only("spi", host, STEPPED).fix.startswith("reboot:")
        config.write_text("#dtparam=spi=on\n")
        finding = only("spi", host, STEPPED)
        assert finding.verdict is Verdict.PROBLEM
        assert finding.fix.startswith("echo dtparam=spi=on | sudo tee -a /boot/firmware/config.txt")

    def test_of_another_chip_select_is_not_taken(self, tmp_path: Path, host: HostFacts) -> None:
        (tmp_path / "dev/spidev0.0").unlink()
        finding = only("spi", host, STEPPED)
        assert finding.verdict is Verdict.PROBLEM
        assert finding.found == "no /dev/spidev0.0; there is /dev/spidev0.1"

    def test_buffer_that_is_too_small_is_raised_to_a_power_of_two(
        self, tmp_path: Path, host: HostFacts
    ) -> None:
        (tmp_path / "sys/module/spidev/parameters/bufsiz").write_text("4096\n")
        finding = only("spi buffer", host, STREAM)
        assert finding.verdict is Verdict.PROBLEM
        assert "spidev.bufsiz=65536" in finding.fix
        # 17 transfers of 128 bytes: a mask needs no more than the kernel's default.
        assert only("spi buffer", host, STEPPED).found == "spidev.bufsiz 4096, 2176 are needed"
        (tmp_path / "sys/module/spidev/parameters/bufsiz").write_text("65407\n")
        assert only("spi buffer", host, STREAM).verdict is Verdict.PROBLEM
        (tmp_path / "sys/module/spidev/parameters/bufsiz").write_text("65408\n")
        assert only("spi buffer", host, STREAM).verdict is Verdict.OK

    def test_pins_that_a_parallel_display_takes_are_a_problem(self, tmp_path: Path, host: HostFacts) -> None:
        write(
            tmp_path, {"boot/firmware/config.txt": "dtparam=spi=on\ndtoverlay=vc4-kms-dpi-generic,rgb888\n"}
        )
        finding = only("header pins", host, STEPPED)
        assert finding.verdict is Verdict.PROBLEM
        assert finding.found.startswith("dtoverlay=vc4-kms-dpi-generic")
        assert of("header pins", diagnose(host, COPROC)) == []
        assert of("header pins", diagnose(host, SIMULATED)) == []


class TestGpio:
    @pytest.mark.parametrize("label", STEPPED.trigger.chip_labels if STEPPED.trigger else ())
    def test_chip_is_found_by_any_of_its_labels(self, host: HostFacts, label: str) -> None:
        chips = (GpioChip("/dev/gpiochip0", "gpio-brcmstb"), GpioChip("/dev/gpiochip4", label))
        assert only("gpio", replace(host, gpio_chips=chips), STEPPED).found == "/dev/gpiochip4 opens"

    def test_chip_of_another_machine_is_not_taken(self, host: HostFacts) -> None:
        other = replace(host, gpio_chips=(GpioChip("/dev/gpiochip0", "INT33FF:00"),))
        finding = only("gpio", other, STEPPED)
        assert finding.verdict is Verdict.PROBLEM
        assert "there is /dev/gpiochip0 [INT33FF:00]" in finding.found

    @pytest.mark.parametrize(
        ("kernel", "verdict"), [("5.9.16", "problem"), ("5.10.0-8-arm64", "ok"), ("6.1", "ok")]
    )
    def test_edges_are_stamped_from_linux_5_10_on(self, host: HostFacts, kernel: str, verdict: str) -> None:
        assert only("kernel", replace(host, kernel=kernel), STEPPED).verdict == verdict
        assert only("kernel", replace(host, kernel=kernel), STREAM).verdict is Verdict.OK

    def test_a_real_time_kernel_is_named(self, tmp_path: Path, host: HostFacts) -> None:
        write(tmp_path, {"sys/kernel/realtime": "1\n"})
        assert only("kernel", host, STEPPED).found == "6.12.25+rpt-rpi-2712, PREEMPT_RT"


class TestCoprocessor:
    def test_that_is_away_names_the_pattern_and_the_page(self, tmp_path: Path, host: HostFacts) -> None:
        (tmp_path / CO_PROCESSOR).unlink()
        finding = only("co-processor", host, COPROC)
        assert finding.verdict is Verdict.PROBLEM
        assert "MicroPython" in finding.found
        assert "flash-the-coprocessor" in finding.fix

    def test_one_of_two_has_to_be_named(self, tmp_path: Path, host: HostFacts) -> None:
        write(tmp_path, {CO_PROCESSOR.replace("e661", "e662"): ""})
        finding = only("co-processor", host, COPROC)
        assert finding.verdict is Verdict.PROBLEM
        assert f'coprocessor.device = "/{CO_PROCESSOR}"' in finding.fix


class TestPackages:
    @pytest.mark.parametrize(("version", "verdict"), [("2.0.2", "problem"), ("2.1", "ok"), ("10.0.0", "ok")])
    def test_versions_are_compared_as_numbers(self, host: HostFacts, version: str, verdict: str) -> None:
        finding = only("package gpiod", replace(host, packages={**host.packages, "gpiod": version}), STEPPED)
        assert finding.verdict == verdict

    def test_oldest_versions_are_those_of_the_extra(self) -> None:
        project = (Path(__file__).parents[3] / "pyproject.toml").read_text("utf-8")
        (extra,) = re.findall(r"^pi = \[(.*)\]", project, re.MULTILINE)
        bounds = dict(re.findall(r'"([a-z]+)>=([\d.]+),', extra))
        assert bounds == {name: version for name, version in FEWEST_VERSIONS.items() if name in bounds}
        assert set(bounds) == {"hidapi", "spidev", "gpiod", "pyserial"}

    def test_only_those_that_the_board_uses_are_asked_for(self, host: HostFacts) -> None:
        asked = [f.check for f in diagnose(host, COPROC) if f.check.startswith("package")]
        assert asked == ["package hidapi", "package pyserial"]

    def test_the_original_rpi_gpio_is_refused_on_a_pi_5(self, host: HostFacts) -> None:
        finding = only(
            "package RPi.GPIO", replace(host, packages={**host.packages, "RPi.GPIO": "0.7.1"}), STEPPED
        )
        assert finding.verdict is Verdict.PROBLEM
        assert "does not work on a Raspberry Pi 5" in finding.found
        assert "pip install rpi-lgpio" in finding.fix

    def test_on_a_pi_4_it_is_only_refused_beside_its_successor(self, tmp_path: Path, host: HostFacts) -> None:
        write(tmp_path, {"proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\0"})
        both: dict[str, Any] = {**host.packages, "RPi.GPIO": "0.7.1"}
        assert (
            "both are called RPi.GPIO"
            in only("package RPi.GPIO", replace(host, packages=both), STEPPED).found
        )
        del both["rpi-lgpio"]
        assert of("package RPi.GPIO", diagnose(replace(host, packages=both), STEPPED)) == []

    def test_lgpio_needs_a_folder_that_it_can_write(self, host: HostFacts) -> None:
        assert STEPPED.trigger is not None
        board = replace(STEPPED, trigger=replace(STEPPED.trigger, kind="rpi-lgpio"))
        assert of("working directory", diagnose(host, board)) == []
        locked = replace(host, is_folder_writable=False)
        assert only("working directory", locked, board).verdict is Verdict.PROBLEM
        assert of("working directory", diagnose(locked, STEPPED)) == []


class TestWarnings:
    def test_limits_cost_quality_and_do_not_stop_the_board(self, host: HostFacts) -> None:
        findings = diagnose(replace(host, rtprio_max=0, memlock_bytes=65_536), STEPPED)
        assert is_healthy(findings)
        (rtprio,), (memlock,) = of("limit rtprio", findings), of("limit memlock", findings)
        assert rtprio.verdict is memlock.verdict is Verdict.WARNING
        assert "'pi - rtprio 20'" in rtprio.fix
        assert "'pi - memlock unlimited'" in memlock.fix

    def test_a_clock_without_a_server_is_one(self, host: HostFacts) -> None:
        finding = only("time of day", replace(host, is_clock_synced=False), SIMULATED)
        assert finding.verdict is Verdict.WARNING
        assert "timedatectl" in finding.fix


def test_the_document_says_whether_all_is_well(host: HostFacts) -> None:
    document = to_document(diagnose(host, STEPPED), STEPPED)
    assert (document["board"], document["healthy"]) == ("pi-dlpc900-mcp3208", True)
    bad = to_document(diagnose(replace(host, packages={}), STEPPED), STEPPED)
    assert bad["healthy"] is False
    assert {"check", "verdict", "found", "fix"} == set(document["checks"][0])  # type: ignore[index] # plain data
