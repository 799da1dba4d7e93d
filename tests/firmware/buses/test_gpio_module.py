"""Which ``RPi.GPIO`` is installed, and whether it can work on this board."""

import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from firmware.buses.gpio_module import GpioModule, check_gpio_module, import_gpio, installed_gpio_module
from firmware.buses.trigger_wires import TriggerWires
from lsi.errors import BusError, BusErrorKind

PI_5 = "Raspberry Pi 5 Model B Rev 1.0"
WITH_RP1 = [PI_5, "Raspberry Pi 500 Rev 1.0", "Raspberry Pi Compute Module 5 Rev 1.0"]
WITHOUT_RP1 = [
    "Raspberry Pi 4 Model B Rev 1.5",
    "Raspberry Pi 400 Rev 1.0",
    "Raspberry Pi Compute Module 4 Rev 1.1",
    "Raspberry Pi Zero 2 W Rev 1.0",
    "Raspberry Pi 3 Model B Plus Rev 1.3",
]
WIRES = TriggerWires(17, 27)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """An empty place for packages."""
    (tmp_path / "RPi/GPIO").mkdir(parents=True)
    (tmp_path / "RPi/__init__.py").touch()
    return tmp_path


def install(site: Path, *files: str) -> list[str]:
    for file in files:
        (site / "RPi" / file).touch()
    return [str(site)]


def model_file(folder: Path, model: str) -> Path:
    path = folder / "model"
    path.write_bytes(model.encode() + b"\0")
    return path


def kind_of(caught: pytest.ExceptionInfo[BusError]) -> BusErrorKind:
    return caught.value.kind


def test_the_original_is_told_by_its_extension_module(site: Path) -> None:
    path = install(site, "GPIO/__init__.py", f"_GPIO{EXTENSION_SUFFIXES[0]}")
    assert installed_gpio_module(path) is GpioModule.ORIGINAL


def test_rpi_lgpio_is_told_by_having_none(site: Path) -> None:
    assert installed_gpio_module(install(site, "GPIO/__init__.py")) is GpioModule.RPI_LGPIO


def test_a_bare_or_absent_package_is_no_module(site: Path, tmp_path: Path) -> None:
    assert installed_gpio_module([str(tmp_path / "nowhere")]) is None
    (site / "RPi/GPIO").rmdir()
    assert installed_gpio_module([str(site)]) is None


def test_asking_imports_nothing(site: Path) -> None:
    (site / "RPi/__init__.py").write_text("raise RuntimeError")
    assert installed_gpio_module(install(site, "GPIO/__init__.py")) is GpioModule.RPI_LGPIO
    assert "RPi" not in sys.modules


@pytest.mark.parametrize("model", WITH_RP1)
def test_the_original_is_refused_where_the_header_is_on_the_rp1(tmp_path: Path, model: str) -> None:
    with pytest.raises(BusError, match=rf"cannot drive a {model}: .* RP1") as caught:
        check_gpio_module(GpioModule.ORIGINAL, model_file(tmp_path, model))
    assert kind_of(caught) is BusErrorKind.REFUSED
    assert "rpi-lgpio" in caught.value.hint


@pytest.mark.parametrize("model", WITHOUT_RP1)
def test_the_original_may_try_on_other_boards(tmp_path: Path, model: str) -> None:
    module = check_gpio_module(GpioModule.ORIGINAL, model_file(tmp_path, model))
    assert module is GpioModule.ORIGINAL


@pytest.mark.parametrize("model", [*WITH_RP1, *WITHOUT_RP1])
def test_rpi_lgpio_works_on_every_board(tmp_path: Path, model: str) -> None:
    module = check_gpio_module(GpioModule.RPI_LGPIO, model_file(tmp_path, model))
    assert module is GpioModule.RPI_LGPIO


def test_a_board_that_names_no_model_refuses_nothing(tmp_path: Path) -> None:
    assert check_gpio_module(GpioModule.ORIGINAL, tmp_path / "absent") is GpioModule.ORIGINAL


def test_without_a_module_the_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(BusError, match="pip install rpi-lgpio") as caught:
        check_gpio_module(None, model_file(tmp_path, PI_5))
    assert kind_of(caught) is BusErrorKind.OTHER


def test_a_module_that_refuses_this_machine_is_a_bus_error(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site / "RPi/GPIO/__init__.py").write_text("raise RuntimeError('only on a Raspberry Pi')")
    monkeypatch.syspath_prepend(str(site))
    with pytest.raises(BusError, match="only on a Raspberry Pi"):
        import_gpio(GpioModule.ORIGINAL, WIRES)
    monkeypatch.delitem(sys.modules, "RPi", raising=False)


def test_a_missing_lgpio_is_a_bus_error_and_keeps_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setenv("LG_WD", "/var/lib/lg")
    monkeypatch.delitem(sys.modules, "lgpio", raising=False)
    with pytest.raises(BusError, match="lgpio cannot be imported") as caught:
        import_gpio(GpioModule.RPI_LGPIO, WIRES)
    assert kind_of(caught) is BusErrorKind.OTHER
    assert os.environ["LG_WD"] == "/var/lib/lg"
