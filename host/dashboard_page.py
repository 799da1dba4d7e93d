"""The page of ``lsi dashboard``: a card for each device, with search, filter and what was turned away.

Texts of devices are set as text, never as markup.
"""

import time
from collections.abc import Callable
from typing import Final

from nicegui import ui

from host.dashboard_card import Card
from host.dashboard_words import link_trouble, needs_attention, rejected_lines, summary_of
from host.fleet import DeviceState, Fleet
from host.live_pictures import LivePictures

REFRESH_S: Final = 1.0
MAX_CARDS: Final = 48
WARNING: Final = (
    "Switched on, this page opens sealed latents as they come and shows pictures of people. A generator "
    "makes them: a plausible guess, no evidence, colour and detail invented. They are personal data. "
    "Nothing is stored. Whoever may open this page may switch them on for themselves."
)
_GRID: Final = "grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr))"
_MARKED: Final = "border: 2px dashed #b45309; color: #b45309"


def build_page(
    fleet: Fleet, panel: Callable[[], None] | None = None, pictures: LivePictures | None = None
) -> None:
    """Lay out one visitor's page; ``panel`` puts something above the cards.

    Without ``pictures`` nothing on it can show one.
    """
    ui.page_title("lsi sensors")
    with ui.header().classes("items-center q-py-sm"):
        ui.label("lsi sensors").classes("text-h6")
        summary = ui.label().classes("text-caption")
        summary.props('data-testid="summary"')
    trouble = ui.label().classes("text-negative text-weight-bold").props('data-testid="broker"')
    if panel is not None:
        panel()
    switch = None if pictures is None else _picture_switch(pictures)
    search = ui.input("Find a sensor").classes("w-full")
    search.props('clearable dense outlined data-testid="search"')
    troubled = ui.switch("Only what needs attention").props('data-testid="troubled"')
    note = ui.label().classes("text-caption text-grey")
    view = _View(fleet, pictures)
    rejected = _Rejected(fleet)

    def refresh() -> None:
        wanted = (search.value or "").strip().lower()
        hidden = view.show(wanted, only_troubled=troubled.value)
        summary.text = summary_of(fleet)
        _say(trouble, link_trouble(fleet))
        _say(note, f"{hidden} more; narrow the search." if hidden else "")
        rejected.show()

    for control in (search, troubled, switch):
        if control is not None:
            control.on_value_change(refresh)
    ui.timer(REFRESH_S, refresh)
    refresh()


def _say(place: ui.label, text: str) -> None:
    """Show ``text``; without any the label takes no room."""
    place.text, place.visible = text, bool(text)


def _picture_switch(pictures: LivePictures) -> ui.switch:
    """The switch for generated pictures; off on every new page, whatever another page does."""
    page = ui.context.client
    page.on_delete(lambda: pictures.leave(page.id))
    with ui.card().classes("w-full").style(_MARKED).props('data-testid="picture-switch"'):
        switch = ui.switch("Show generated pictures").props('data-testid="pictures"')
        ui.label(WARNING).classes("text-caption")
    switch.on_value_change(lambda: (pictures.watch if switch.value else pictures.leave)(page.id))
    return switch


class _View:
    """The cards that one visitor sees."""

    def __init__(self, fleet: Fleet, pictures: LivePictures | None) -> None:
        self._fleet = fleet
        self._pictures = pictures
        self._page = ui.context.client.id
        self._grid = ui.element("div").classes("w-full grid gap-4").style(_GRID)
        self._cards: dict[str, Card] = {}

    def show(self, wanted: str, *, only_troubled: bool) -> int:
        """Show devices whose name holds ``wanted``; returns how many had no room."""
        now_s = time.time()
        found = [
            device
            for device in self._fleet.in_order()
            if wanted in device.device_id and not (only_troubled and not needs_attention(device, now_s))
        ]
        shown = found[:MAX_CARDS]
        self._arrange(shown)
        for device in shown:
            seen = None if self._pictures is None else self._pictures.of(self._page, device.device_id)
            self._cards[device.device_id].update(device, seen)
        return len(found) - len(shown)

    def _arrange(self, shown: list[DeviceState]) -> None:
        """One card for each, in order. A card that stays keeps what its reader opened in it."""
        names = [device.device_id for device in shown]
        if names == list(self._cards):
            return
        for name in self._cards.keys() - set(names):
            self._cards.pop(name).element.delete()
        with self._grid:
            cards = {device.device_id: self._cards.get(device.device_id) or Card(device) for device in shown}
        self._cards = cards
        for place, card in enumerate(cards.values()):
            if self._grid.default_slot.children[place] is not card.element:
                card.element.move(self._grid, place)


class _Rejected:
    """What was turned away and why, for who looks for a sensor that does not appear."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._place = ui.expansion("Messages that were turned away").classes("w-full")
        self._place.props('dense data-testid="rejected"')
        with self._place:
            self._lines = ui.label().classes("text-caption")
            self._lines.style("white-space: pre-line; overflow-wrap: anywhere")

    def show(self) -> None:
        """Show the last ones, if there are any."""
        self._place.visible = self._fleet.rejected_count > 0
        self._lines.text = rejected_lines(self._fleet)
