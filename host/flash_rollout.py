"""A list of devices in groups, flashed one group after the other; a group that fails is the last."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from host.flash_device import Flashed
from lsi.errors import ConfigError, LsiError, TrialFailedError
from lsi.schema import check
from lsi.toml_file import read_toml

AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Group:
    """Devices that are flashed together."""

    name: str
    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one device; ``error`` where it did not go well."""

    device: str
    flashed: Flashed | None = None
    error: LsiError | None = None

    @property
    def line(self) -> str:
        """For people."""
        return f"{self.device}: {self.flashed if self.error is None else self.error}"


def read_groups(path: Path, only: Sequence[str] = ()) -> list[Group]:
    """The groups in the TOML file ``path``, in their order; of these ``only`` some, if named.

    Raises:
        ConfigError: Not readable, not such a list, or a group that is not in it.
    """
    document = read_toml(path, "Device list", error=ConfigError, hint="docs/how-to/flash-a-device.md.")
    check(document, "flash-devices", error=ConfigError, source=str(path))
    groups = [Group(each["name"], tuple(each["devices"])) for each in document["group"]]
    names = [group.name for group in groups]
    twice = sorted({name for name in names if names.count(name) > 1})
    unknown = sorted(set(only) - set(names))
    if twice or unknown:
        found = (
            f"{path}: groups {', '.join(twice or unknown)} {'appear twice' if twice else 'are not in it'}."
        )
        raise ConfigError(found, hint=f"the groups are {', '.join(names)}.")
    return [group for group in groups if not only or group.name in only]


def roll_out(
    groups: Sequence[Group], flash: Callable[[str], Flashed], at_once: int = AT_ONCE
) -> Iterator[Result]:
    """Flash group by group, ``at_once`` devices at a time.

    Every device of a group is flashed; where one did not take the bundle, no further group is begun.

    Yields:
        Each result as soon as those before it are known.
    """
    for group in groups:
        failed = False
        with ThreadPoolExecutor(at_once, "lsi-flash") as workers:
            for result in workers.map(lambda device: _result(device, flash), group.devices):
                failed |= result.error is not None
                yield result
        if failed:
            return


def exit_code(results: Sequence[Result]) -> int:
    """0, or the code of the worst that happened: a rollback before a device that is away."""
    errors = [result.error for result in results if result.error is not None]
    rolled_back = [error for error in errors if isinstance(error, TrialFailedError)]
    return (rolled_back or errors)[0].exit_code if errors else 0


def _result(device: str, flash: Callable[[str], Flashed]) -> Result:
    try:
        return Result(device, flash(device))
    except LsiError as error:
        return Result(device, error=error)
