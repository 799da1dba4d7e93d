"""The page of ``lsi dashboard``: a card for each device, with search, history and what left it in bytes.

Texts of devices are set as text, never as markup. There is no element for a picture here.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from nicegui import ui

from host.dashboard_history import history_options
from host.fleet import DeviceState, Fleet
from host.listen_line import WORDS
from lsi.problems import ADVICE
from lsi.topics import Availability

REFRESH_S: Final = 1.0
MAX_CARDS: Final = 48
STALE_S: Final = 150.0
_COLOURS: Final = {True: "positive", False: "grey-6", None: "warning"}
_LINK_COLOURS: Final = {Availability.ONLINE: "positive", Availability.OFFLINE: "negative", None: "grey-6"}
_GRID: Final = "grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr))"


def build_page(fleet: Fleet, panel: Callable[[], None] | None = None) -> None:
    """Lay out one visitor's page; ``panel`` puts something above the cards."""
    ui.page_title("lsi sensors")
    with ui.header().classes("items-center q-py-sm"):
        ui.label("lsi sensors").classes("text-h6")
        summary = ui.label().classes("text-caption")
        summary.props('data-testid="summary"')
    if panel is not None:
        panel()
    search = (
        ui.input("Find a sensor").props('clearable dense outlined data-testid="search"').classes("w-full")
    )
    note = ui.label().classes("text-caption text-grey")
    grid = ui.element("div").classes("w-full grid gap-4").style(_GRID)
    view = _View(fleet, grid)

    def refresh() -> None:
        wanted = (search.value or "").strip().lower()
        hidden = view.show(wanted)
        summary.text = _summary(fleet)
        note.text = f"{hidden} more; narrow the search." if hidden else ""

    search.on_value_change(refresh)
    ui.timer(REFRESH_S, refresh)
    refresh()


class _View:
    """The cards that one visitor sees."""

    def __init__(self, fleet: Fleet, grid: ui.element) -> None:
        self._fleet = fleet
        self._grid = grid
        self._cards: dict[str, _Card] = {}

    def show(self, wanted: str) -> int:
        """Show devices whose name holds ``wanted``; returns how many had no room."""
        found = [device for device in self._fleet.in_order() if wanted in device.device_id]
        shown = found[:MAX_CARDS]
        if [device.device_id for device in shown] != list(self._cards):
            self._grid.clear()
            with self._grid:
                self._cards = {device.device_id: _Card(device) for device in shown}
        for device in shown:
            self._cards[device.device_id].update(device)
        return len(found) - len(shown)


class _Card:
    """One device."""

    def __init__(self, device: DeviceState) -> None:
        self._history: ui.echart | None = None
        card = ui.card().classes("w-full").style("min-width: 0")  # narrower than its longest word, if it must
        with card.props(f'data-testid="card-{device.device_id}"'):
            with ui.row().classes("w-full items-center justify-between no-wrap"):
                name = ui.label(device.device_id).style("min-width: 0")
                name.classes("text-subtitle1 text-weight-bold ellipsis")
                self._link = ui.badge()
            self._answers = ui.row().classes("gap-1")
            self._facts = ui.label().classes("text-caption text-grey-8").style("white-space: pre-line")
            self._problems = ui.label().classes("text-caption text-negative").style("white-space: pre-line")
            with ui.expansion("What left the device").classes("w-full").props("dense"):
                self._left = ui.label().style("white-space: pre; font: 0.75rem monospace")
            self._place = ui.expansion("History", on_value_change=lambda: self._plot(device))
            self._place.classes("w-full").props("dense")
        self._shown: dict[str, bool | None] = {}

    def update(self, device: DeviceState) -> None:
        """Show what is known now; only what changed is sent to the browser."""
        self._link.text = str(device.availability or "not heard of")
        self._link.props(f"color={_LINK_COLOURS[device.availability]}")
        answers = dict(device.answers)
        if answers != self._shown:
            self._shown = answers
            self._answers.clear()
            with self._answers:
                for name, answer in answers.items():
                    ui.badge(f"{name} {WORDS[answer]}", color=_COLOURS[answer])
        self._facts.text = _facts(device)
        self._problems.text = _problems(device)
        self._left.text = _left(device)
        if self._history is not None:
            self._plot(device)

    def _plot(self, device: DeviceState) -> None:
        if not self._place.value:
            return
        options = history_options(list(device.history))
        if self._history is None:
            with self._place:
                self._history = ui.echart(options).classes("w-full h-64").props('data-testid="history"')
        else:
            _replace(self._history.options, options)
            self._history.update()


def _replace(options: dict[str, Any], new: dict[str, Any]) -> None:
    options.clear()
    options.update(new)


def _summary(fleet: Fleet) -> str:
    online = sum(device.availability is Availability.ONLINE for device in fleet.devices.values())
    sent = sum(sum(device.bytes_by_kind.values()) for device in fleet.devices.values())
    rejected = f", {fleet.rejected_count} messages rejected" if fleet.rejected_count else ""
    return f"{online} of {len(fleet.devices)} online, {sent:,} bytes received{rejected}"


def _facts(device: DeviceState) -> str:
    lines = []
    if (info := device.info) is not None:
        lines.append(f"{info.board}{' (simulated)' if info.simulated else ''}, {info.mode}, {info.d} masks")
        lines.append(f"bundle {info.bundle_name} {info.bundle_version}{_staged(device)}")
    if device.backlog is not None:
        lines.append(f"{device.backlog} records wait on the device, {device.missing} missing here")
    if (visit := device.visit) is not None:
        lasted = "" if visit.duration_s is None else f" after {visit.duration_s} s"
        lines.append(f"visit {visit.phase}{lasted}, {visit.ts[11:19]} UTC")
    lines.append(_age(device))
    return "\n".join(lines)


def _staged(device: DeviceState) -> str:
    update = device.update
    if update is None or update.installed == update.latest:
        return ""
    return f", {update.latest} {'is being installed' if update.in_progress else 'is staged'}"


def _age(device: DeviceState) -> str:
    if not device.heard_s:
        return "heard nothing since this page's program started"
    age_s = time.time() - device.heard_s
    return f"heard {age_s:.0f} s ago{': what is shown may be old' if age_s > STALE_S else ''}"


def _problems(device: DeviceState) -> str:
    if device.health is None:
        return ""
    return "\n".join(f"{problem}: {ADVICE[problem]}" for problem in sorted(device.health.problems))


def _left(device: DeviceState) -> str:
    rows = [
        (str(kind), device.messages_by_kind[kind], size) for kind, size in device.bytes_by_kind.most_common()
    ]
    return "\n".join(f"{kind:13}{count:7,} messages {size:10,} bytes" for kind, count, size in rows)
