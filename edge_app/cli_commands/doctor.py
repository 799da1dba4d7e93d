"""``lsi-edge doctor``: what a board needs of the machine, check by check, each with its fix.

Every check is a function of ``HostFacts`` and, where there is one, of a board. None of
them drives anything: masks stay where they are and nothing is measured.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from edge_app.cli_commands.doctor_facts import HostFacts
from firmware.boards.board import Board
from firmware.boards.board_parts import CONVERTERS, ScanMode
from firmware.buses.spi_ioctl import alignment_bytes, buffered_bytes
from firmware.interfaces import MAX_MESSAGE_TRANSFERS
from firmware.realtime import PRIORITY

CONTROLLER_USB_ID: Final = ("0451", "c900")
"""Vendor and product of a DLPC900 (TI DLPU018J)."""
FEWEST_VERSIONS: Final = {
    "hidapi": "0.14",
    "spidev": "3.6",
    "gpiod": "2.1",
    "pyserial": "3.5",
    "rpi-lgpio": "0.6",
}
"""Oldest versions that work: the bounds of the extra ``pi``, and of rpi-lgpio."""
OLDEST_GPIO_KERNEL: Final = (5, 10)
"""First kernel with the GPIO interface of gpiod v2, which stamps edges by itself."""
LOCKED_MEMORY_BYTES: Final = 512 * 1024 * 1024
"""More than the service ever uses; mlockall locks all of it."""

_CONFIG_FILES: Final = ("/boot/firmware/config.txt", "/boot/config.txt")
_RULES: Final = "70-lsi.rules"
_RELOAD: Final = "sudo udevadm control --reload && sudo udevadm trigger"


class Verdict(StrEnum):
    """How a check ended. A warning costs quality, a problem stops the board."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; ``fix`` is a command or a thing to do, empty when all is well."""

    check: str
    verdict: Verdict
    found: str
    fix: str = ""


def diagnose(facts: HostFacts, board: Board | None) -> list[Finding]:
    """All findings for ``board``; without one, a survey of what is there."""
    return [finding for check in _CHECKS for finding in check(facts, board)]


def to_document(findings: list[Finding], board: Board | None) -> dict[str, object]:
    """For ``--json``."""
    return {
        "board": None if board is None else board.name,
        "healthy": is_healthy(findings),
        "checks": [asdict(finding) for finding in findings],
    }


def is_healthy(findings: list[Finding]) -> bool:
    """Whether no check ended with a problem."""
    return all(finding.verdict is not Verdict.PROBLEM for finding in findings)


def _machine(facts: HostFacts, board: Board | None) -> Iterator[Finding]:
    del board
    model = facts.text("/proc/device-tree/model")
    yield Finding("machine", Verdict.OK, model or "not a Raspberry Pi (no /proc/device-tree/model)")


def _kernel(facts: HostFacts, board: Board | None) -> Iterator[Finding]:
    found = f"{facts.kernel}{', PREEMPT_RT' if facts.text('/sys/kernel/realtime') == '1' else ''}"
    numbers = tuple(int(number) for number in re.findall(r"\d+", facts.kernel)[:2])
    if board is not None and board.trigger is not None and numbers < OLDEST_GPIO_KERNEL:
        fix = "sudo apt update && sudo apt full-upgrade, then reboot: gpiod needs Linux 5.10 or newer"
        yield Finding("kernel", Verdict.PROBLEM, found, fix)
    else:
        yield Finding("kernel", Verdict.OK, found)


def _clock(facts: HostFacts, board: Board | None) -> Iterator[Finding]:
    del board
    if facts.is_clock_synced:
        yield Finding("time of day", Verdict.OK, "follows a server")
    else:
        found = "not synchronised: records carry a wrong time"
        yield Finding("time of day", Verdict.WARNING, found, "sudo timedatectl set-ntp true")


def _controller(facts: HostFacts, board: Board | None) -> Iterator[Finding]:
    if board is not None and board.simulated:
        return
    serials = _controller_serials(facts)
    wanted = None if board is None else board.modulator.usb_serial
    if not serials:
        found = f"no DLPC900 on USB ({':'.join(CONTROLLER_USB_ID)})"
        fix = "switch on the controller's own supply, plug in USB, then: lsusb -d 0451:c900"
        yield Finding("controller", _absent(board), found, fix)
        return
    shown = ", ".join(serial or "without serial number" for serial in serials)
    if wanted is not None and wanted not in serials:
        fix = f'modulator.usb_serial = "{serials[0]}" in the board file, or plug in the other one'
        yield Finding("controller", Verdict.PROBLEM, f"found {shown}, not {wanted}", fix)
    elif wanted is None and len(serials) > 1:
        fix = f'modulator.usb_serial = "{serials[0]}" in the board file says which'
        yield Finding("controller", Verdict.PROBLEM, f"{len(serials)} of them: {shown}", fix)
    else:
        yield Finding("controller", Verdict.OK, f"DLPC900, {shown}")
    yield from _hidraw(facts)


def _controller_serials(facts: HostFacts) -> list[str]:
    devices = sorted(facts.at("/sys/bus/usb/devices").glob("*"))
    found = []
    for device in devices:
        base = f"/sys/bus/usb/devices/{device.name}"
        ids = (facts.text(f"{base}/idVendor"), facts.text(f"{base}/idProduct"))
        if ids == CONTROLLER_USB_ID:
            found.append(facts.text(f"{base}/serial") or "")
    return found


def _hidraw(facts: HostFacts) -> Iterator[Finding]:
    vendor, product = (number.upper() for number in CONTROLLER_USB_ID)
    wanted = f"HID_ID=0003:0000{vendor}:0000{product}"
    nodes = []
    for entry in sorted(facts.at("/sys/class/hidraw").glob("hidraw*")):
        uevent = facts.text(f"/sys/class/hidraw/{entry.name}/device/uevent") or ""
        if wanted in uevent.upper().splitlines():
            nodes.append(f"/dev/{entry.name}")
    if not nodes:
        found = "the controller is on USB, but has no /dev/hidraw node"
        yield Finding(
            "controller access", Verdict.PROBLEM, found, "sudo modprobe usbhid, then plug it in again"
        )
    for node in nodes:
        yield _access("controller access", facts, node, "plugdev")


def _access(check: str, facts: HostFacts, node: str, group: str) -> Finding:
    """Whether ``node`` opens; if not, whether a group or the udev rules are missing."""
    if facts.may_open(facts.at(node)):
        return Finding(check, Verdict.OK, f"{node} opens")
    found = f"{node} does not open for {facts.user}"
    if group not in facts.groups:
        fix = f"sudo usermod -aG {group} {facts.user}, then log in again"
        return Finding(check, Verdict.PROBLEM, f"{found}, who is not in group {group}", fix)
    rules = Path(__file__).parents[1] / "hardware" / "udev" / _RULES
    fix = f"sudo install -m 644 {rules} /etc/udev/rules.d/ && {_RELOAD}"
    return Finding(check, Verdict.PROBLEM, found, fix)


def _absent(board: Board | None) -> Verdict:
    """A part that is not there stops a board that needs it, and is a remark in a survey."""
    return Verdict.WARNING if board is None else Verdict.PROBLEM


def _spi(facts: HostFacts, board: Board | None) -> Iterator[Finding]:
    if board is not None and (board.simulated or board.converter is None):
        return
    present = [f"/dev/{node.name}" for node in sorted(facts.at("/dev").glob("spidev*"))]
    wanted = None if board is None or board.converter is None else board.converter.device
    if not present or (wanted is not None and wanted not in present):
        found = f"no {wanted or '/dev/spidev node'}; there is {', '.join(present) or 'none'}"
        yield Finding("spi", _absent(board), found, _spi_fix(facts))
        return
    for node in [wanted] if wanted is not None else present:
        yield _access("spi", facts, node, "spi")
    yield from _buffer(facts, board)


def _spi_fix(facts: HostFacts) -> str:
    config = next((path for path in _CONFIG_FILES if facts.at(path).is_file()), _CONFIG_FILES[0])
    if "dtparam=spi=on" in _config_lines(facts):
        return f"reboot: {config} switches SPI on, but it was not on at this start"
    return f"echo dtparam=spi=on | sudo tee -a {config}, then reboot"


def _config_lines(facts: HostFacts) -> list[str]:
    """Settings of config.txt, without comments, spaces and the conditions they stand under."""
    text = next((text for path in _CONFIG_FILES if (text := facts.text(path)) is not None), "")
    lines = (line.partition("#")[0].replace(" ", "") for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("[")]


def _longest_message(board: Board) -> int:
    """Transfers; a stream uses all that a message can have, a mask what its samples take."""
    if board.mode is ScanMode.OVERSAMPLED:
        return MAX_MESSAGE_TRANSFERS
    # The frame that brings the last conversion of a pipelined converter is one more.
    return min(len(board.arm_channels) * board.plan.samples_per_pattern + 1, MAX_MESSAGE_TRANSFERS)


def _buffer(facts: HostFacts, board: Board | None) -> Iterator[Finding]:
    """The longest message of the board has to fit into what spidev buffers."""
    text = facts.text("/sys/module/spidev/parameters/bufsiz")
    if board is None or board.converter is None or text is None or not text.isdecimal():
        return
    frame_bytes = CONVERTERS[board.converter.kind].frame_bits // 8
    needed = buffered_bytes(_longest_message(board), frame_bytes, alignment_bytes(facts.machine))
    if int(text) >= needed:
        yield Finding("spi buffer", Verdict.OK, f"spidev.bufsiz {text}, {needed} are needed")
        return
    size = 1 << (needed - 1).bit_length()
    fix = f"sudo sed -i 's/$/ spidev.bufsiz={size}/' /boot/firmware/cmdline.txt, then reboot"
    yield Finding("spi buffer", Verdict.PROBLEM, f"spidev.bufsiz {text}, {needed} are needed", fix)


def _pins(facts: HostFacts, board: Board | None) -> Iterator[Finding]:
    """A parallel display takes GPIO 0 to 27, and SPI with them (unverified)."""
    takers = [line for line in _config_lines(facts) if re.match(r"dtoverlay=\S*dpi", line)]
    if takers and board is not None and not board.simulated and (board.converter or board.trigger):
        fix = f"sudo sed -i 's/^{takers[0]}/#&/' {_CONFIG_FILES[0]}, then reboot"
        yield Finding("header pins", Verdict.PROBLEM, f"{takers[0]} takes the pins of SPI and triggers", fix)


def _gpio(facts: HostFacts, board: Board | None) -> Iterator[Finding]:
    chips = ", ".join(f"{chip.node} [{chip.label or 'may not be opened'}]" for chip in facts.gpio_chips)
    if board is None:
        yield Finding("gpio", Verdict.OK, chips or "no GPIO chip")
        return
    if board.trigger is None:
        return
    nodes = {chip.label: chip.node for chip in facts.gpio_chips}
    matching = [nodes[label] for label in board.trigger.chip_labels if label in nodes]
    closed = [chip.node for chip in facts.gpio_chips if not facts.may_open(facts.at(chip.node))]
    if matching or closed:
        yield _access("gpio", facts, (matching or closed)[0], "gpio")
    else:
        found = f"no chip labelled {' or '.join(board.trigger.chip_labels)}; there is {chips or 'none'}"
        fix = "the label of the chip with the 40-pin header in trigger.chip_labels; gpiodetect lists them"
        yield Finding("gpio", Verdict.PROBLEM, found, fix)


def _coprocessor(facts: HostFacts, board: Board | None) -> Iterator[Finding]:
    if board is None:
        ports = [f"/dev/serial/by-id/{port.name}" for port in _matches(facts, "/dev/serial/by-id/*")]
        yield Finding("serial ports", Verdict.OK, ", ".join(ports) or "none under /dev/serial/by-id")
        return
    pattern = None if board.coprocessor is None else board.coprocessor.device
    if pattern is None:
        return
    found = [f"/{path.relative_to(facts.root)}" for path in _matches(facts, pattern)]
    if not found:
        fix = "plug it in; if it stays away, flash it: docs/how-to/flash-the-coprocessor.md"
        yield Finding("co-processor", Verdict.PROBLEM, f"nothing at {pattern}", fix)
    elif len(found) > 1:
        fix = f'coprocessor.device = "{found[0]}" in the board file says which'
        yield Finding("co-processor", Verdict.PROBLEM, f"{len(found)} fit {pattern}", fix)
    else:
        yield _access("co-processor", facts, found[0], "dialout")


def _matches(facts: HostFacts, pattern: str) -> list[Path]:
    return sorted(facts.root.glob(pattern.lstrip("/")))


def _packages(facts: HostFacts, board: Board | None) -> Iterator[Finding]:
    for name in _needed_packages(board):
        fewest, version = FEWEST_VERSIONS[name], facts.packages.get(name)
        wanted = "rpi-lgpio" if name == "rpi-lgpio" else "lsi-edge[pi]"
        fix = f"pip install --upgrade '{wanted}'"
        if version is None:
            yield Finding(f"package {name}", _absent(board), "not installed", fix)
        elif _numbers(version) < _numbers(fewest):
            yield Finding(f"package {name}", Verdict.PROBLEM, f"{version}, at least {fewest} is needed", fix)
        else:
            yield Finding(f"package {name}", Verdict.OK, version)


def _needed_packages(board: Board | None) -> list[str]:
    if board is None:
        return ["hidapi", "spidev", "gpiod", "pyserial"]
    if board.simulated:
        return []
    trigger = [] if board.trigger is None else [board.trigger.kind]
    converter = [] if board.converter is None else ["spidev"]
    coprocessor = [] if board.coprocessor is None else ["pyserial"]
    return ["hidapi", *converter, *trigger, *coprocessor]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _rpi_gpio(facts: HostFacts, board: Board | None) -> Iterator[Finding]:
    """The original RPi.GPIO writes to registers that a Pi 5 does not have, and hides rpi-lgpio."""
    del board
    version = facts.packages.get("RPi.GPIO")
    if version is None:
        return
    fix = "pip uninstall -y RPi.GPIO rpi-lgpio && pip install rpi-lgpio"
    if "Raspberry Pi 5" in (facts.text("/proc/device-tree/model") or ""):
        yield Finding(
            "package RPi.GPIO", Verdict.PROBLEM, f"{version} does not work on a Raspberry Pi 5", fix
        )
    elif "rpi-lgpio" in facts.packages:
        found = f"{version} beside rpi-lgpio: both are called RPi.GPIO"
        yield Finding("package RPi.GPIO", Verdict.PROBLEM, found, fix)


def _lgpio_folder(facts: HostFacts, board: Board | None) -> Iterator[Finding]:
    if board is None or board.trigger is None or board.trigger.kind != "rpi-lgpio":
        return
    if not facts.is_folder_writable:
        found = "the working directory is read-only; lgpio makes a file there when it is loaded"
        yield Finding(
            "working directory",
            Verdict.PROBLEM,
            found,
            "cd to a folder of your own; in a unit: WorkingDirectory=",
        )


def _real_time(facts: HostFacts, board: Board | None) -> Iterator[Finding]:
    if board is not None and board.simulated:
        return
    file = "/etc/security/limits.d/95-lsi.conf"
    for item, value, most, fewest, unit in (
        ("rtprio", PRIORITY, facts.rtprio_max, 1, ""),
        ("memlock", "unlimited", facts.memlock_bytes, LOCKED_MEMORY_BYTES, " bytes"),
    ):
        if most is None or most >= fewest:
            shown = "no limit" if most is None else f"{most}{unit}"
            yield Finding(f"limit {item}", Verdict.OK, shown)
            continue
        fix = f"echo '{facts.user} - {item} {value}' | sudo tee -a {file}, then log in again"
        yield Finding(
            f"limit {item}", Verdict.WARNING, f"{most}{unit}: exposures may be missed under load", fix
        )


_CHECKS: Final[tuple[Callable[[HostFacts, Board | None], Iterator[Finding]], ...]] = (
    _machine,
    _kernel,
    _clock,
    _controller,
    _spi,
    _pins,
    _gpio,
    _coprocessor,
    _packages,
    _rpi_gpio,
    _lgpio_folder,
    _real_time,
)
