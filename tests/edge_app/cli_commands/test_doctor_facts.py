import struct
from pathlib import Path

from edge_app.cli_commands.doctor_facts import (
    PACKAGES,
    GpioChip,
    gpio_chips,
    host_facts,
    installed_packages,
    parse_chip_info,
)


def test_the_label_is_read_out_of_the_kernels_answer() -> None:
    answer = (
        b"gpiochip0".ljust(32, b"\0") + b"pinctrl-rp1\0left over".ljust(32, b"\0") + struct.pack("=I", 54)
    )
    assert parse_chip_info(answer) == "pinctrl-rp1"


def test_a_node_that_is_no_chip_has_no_label(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/gpiochip1").write_bytes(b"")
    assert gpio_chips(tmp_path) == (GpioChip("/dev/gpiochip1", None),)


def test_this_machine_can_be_looked_at(tmp_path: Path) -> None:
    facts = host_facts()
    assert facts.user
    assert facts.kernel[0].isdigit()
    assert facts.at("/dev/null") == Path("/dev/null")
    assert facts.may_open(Path("/dev/null"))
    assert not facts.may_open(tmp_path / "nothing")


def test_small_files_are_read_without_zero_bytes_and_missing_ones_are_none(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"Raspberry Pi 4\xff\0\n")
    facts = host_facts(tmp_path)
    assert facts.text("/model") == "Raspberry Pi 4\ufffd"
    assert facts.text("/none") is None


def test_only_packages_that_are_there_have_versions() -> None:
    found = installed_packages()
    assert set(found) <= set(PACKAGES)
    assert all(version[0].isdigit() for version in found.values())
