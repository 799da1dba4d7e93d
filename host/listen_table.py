"""The fleet as a table on a terminal."""

from rich.table import Table
from rich.text import Text

from host.fleet import DeviceState, Fleet
from host.listen_line import WORDS, printable
from lsi.topics import Availability

_STYLES = {True: "bold green", False: "dim", None: "yellow"}
_LINK_STYLES = {Availability.ONLINE: "green", Availability.OFFLINE: "red"}
_HEADINGS = ("device", "link", "face", "attributes", "last visit", "backlog", "missing", "bytes", "heard")
STALE_S = 150.0
"""Two heartbeats and a half: what is older is shown as old."""


def fleet_table(fleet: Fleet, now_s: float, rows: int = 40) -> Table:
    """One row for each device, at most ``rows``; names and answers are shown as text, whatever they hold."""
    table = Table(title="Sensors", caption=Text(_caption(fleet, rows)), expand=True)
    for heading in (
        "device",
        "link",
        "face",
        "attributes",
        "last visit",
        "backlog",
        "missing",
        "bytes",
        "heard",
    ):
        table.add_column(heading, no_wrap=heading not in {"attributes", "last visit"})
    for device in fleet.in_order()[:rows]:
        table.add_row(*_cells(device, now_s))
    return table


def _cells(device: DeviceState, now_s: float) -> list[Text]:
    answers = dict(device.answers)
    is_stale = now_s - device.heard_s > STALE_S
    face = answers.pop("face", None)
    words = (Text(f"{name} {WORDS[answer]}", _STYLES[answer]) for name, answer in answers.items())
    link = device.availability
    return [
        Text(device.device_id),
        Text(str(link or "?"), _LINK_STYLES[link] if link else "dim"),
        Text(WORDS[face], _STYLES[face]),
        Text("  ").join(words),
        Text(_visit(device)),
        Text("?" if device.backlog is None else str(device.backlog)),
        Text(str(device.missing), "red" if device.missing else "dim"),
        Text(f"{sum(device.bytes_by_kind.values()):,}"),
        Text(_age(device, now_s), "yellow" if is_stale else ""),
    ]


def _visit(device: DeviceState) -> str:
    visit = device.visit
    if visit is None:
        return "-"
    lasted = "" if visit.duration_s is None else f", {visit.duration_s} s"
    return f"{visit.phase} {visit.ts[11:19]}{lasted}"


def _age(device: DeviceState, now_s: float) -> str:
    return f"{now_s - device.heard_s:.0f} s ago" if device.heard_s else "never"


def _caption(fleet: Fleet, rows: int) -> str:
    hidden = max(0, len(fleet.devices) - rows)
    parts = [f"{len(fleet.devices)} sensors", f"{fleet.rejected_count} messages rejected"]
    if hidden:
        parts.append(f"{hidden} not shown: --device, --kind")
    if fleet.rejected:
        parts.append(f"last because: {printable(fleet.rejected[-1].reason[:80])}")
    return ", ".join(parts)
