"""The card of one device. What devices say is set as text, never as markup."""

import base64
import time
from typing import Any, Final

from nicegui import ui

from host.dashboard_history import history_options
from host.dashboard_words import bundle_of, facts_of, left_of, problems_of
from host.fleet import DeviceState
from host.listen_line import WORDS
from host.live_pictures import LivePicture, Seen
from lsi.topics import Availability

_COLOURS: Final = {True: "positive", False: "grey-6", None: "warning"}
_LINK_COLOURS: Final = {Availability.ONLINE: "positive", Availability.OFFLINE: "negative", None: "grey-6"}
_SMALL: Final = "white-space: pre-line; overflow-wrap: anywhere"


class Card:
    """One device. Made within the element that shall hold it."""

    def __init__(self, device: DeviceState) -> None:
        self._history: ui.echart | None = None
        self._seen: Seen | None = None
        self._shown: dict[str, bool | None] = {}
        self.element = ui.card().classes("w-full").style("min-width: 0")  # narrower than its longest word
        self.element.props["data-testid"] = f"card-{device.device_id}"
        with self.element:
            with ui.row().classes("w-full items-center justify-between no-wrap"):
                name = ui.label(device.device_id).style("min-width: 0")
                name.classes("text-subtitle1 text-weight-bold ellipsis")
                self._link = ui.badge()
            self._answers = ui.row().classes("gap-1")
            self._picture = ui.column().classes("gap-1")
            self._picture.visible = False
            self._facts = _small("text-grey-8")
            self._bundle = _small("text-grey-8").props('data-testid="bundle"')
            self._problems = _small("text-negative")
            with ui.expansion("What left the device").classes("w-full").props("dense"):
                self._left = ui.label().style("white-space: pre; font: 0.75rem monospace; overflow-x: auto")
            self._place = ui.expansion("History", on_value_change=lambda: self._plot(device))
            self._place.classes("w-full").props("dense")

    def update(self, device: DeviceState, seen: Seen | None) -> None:
        """Show what is known now; only what changed is sent to the browser."""
        self._link.text = str(device.availability or "not heard of")
        self._link.props(f"color={_LINK_COLOURS.get(device.availability, 'grey-6')}")
        answers = dict(device.answers)
        if answers != self._shown:
            self._shown = answers
            self._answer(answers)
        if seen is not self._seen:
            self._seen = seen
            self._picture.clear()
            self._picture.visible = seen is not None
            with self._picture:
                _show(seen)
        self._facts.text = facts_of(device, time.time())
        self._bundle.text = bundle_of(device)
        self._problems.text = problems_of(device)
        self._left.text = left_of(device)
        if self._history is not None:
            self._plot(device)

    def _answer(self, answers: dict[str, bool | None]) -> None:
        self._answers.clear()
        with self._answers:
            for name, answer in answers.items():
                ui.badge(f"{name} {WORDS[answer]}", color=_COLOURS[answer])

    def _plot(self, device: DeviceState) -> None:
        if not self._place.value:
            return
        options = history_options(list(device.history))
        if self._history is None:
            with self._place:
                self._history = ui.echart(options).classes("w-full h-64").props('data-testid="history"')
        elif self._history.options != options:
            _replace(self._history.options, options)
            self._history.update()


def _small(colour: str) -> ui.label:
    return ui.label().classes(f"text-caption {colour}").style(_SMALL)


def _show(seen: Seen | None) -> None:
    """A picture goes into the page as data: there is no address under which anybody could ask for it."""
    if isinstance(seen, LivePicture):
        picture = ui.element("img").style("image-rendering: pixelated; max-width: 100%; width: 12rem")
        picture.props["src"] = "data:image/png;base64," + base64.b64encode(seen.png).decode("ascii")
        picture.props["alt"] = "generated picture"
        picture.props["data-testid"] = "picture"
        when = f"{seen.ts[:10]} {seen.ts[11:19]} UTC by the device's clock, record {seen.seq}"
        ui.label(f"Made by a generator, no evidence. {when}").classes("text-caption").style(_SMALL)
    elif seen is not None:
        ui.label(seen.reason).classes("text-caption").style(_SMALL).props('data-testid="no-picture"')


def _replace(options: dict[str, Any], new: dict[str, Any]) -> None:
    options.clear()
    options.update(new)
