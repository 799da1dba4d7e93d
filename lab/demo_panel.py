"""The panel of ``lsi demo --web``: inside a simulated rig, marked as what no sensor shows."""

from math import ceil
from typing import Any, Final

from nicegui import ui

from lab.shown_rig import STEP_S, Shown, ShownRig

NOTICE: Final = (
    "Simulation only. This is the inside of a simulated rig of the demo's own. A sensor has no such window: "
    "light, masks' ratios and latents stay in it, and it could not make this picture."
)
_NOTHING: Final = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="
"""An empty picture, so that no browser shows a broken one."""
_PIXELS: Final = "width: 8rem; height: 8rem; image-rendering: pixelated; background: #111"


def panel_of(rig: ShownRig) -> None:
    """Lay the panel out and keep it up to date."""
    with ui.card().classes("w-full").style("border: 2px dashed #b45309").props('data-testid="panel"'):
        ui.label(NOTICE).classes("text-caption text-weight-bold").style("color: #b45309")
        with ui.row().classes("w-full items-start gap-4"):
            light, mask = _picture("Light on the DMD"), _picture("Mask on the DMD")
            with ui.column().classes("gap-1 grow").style("min-width: 16rem"):
                caption = ui.label().classes("text-caption").props('data-testid="ratios"')
                bars = ui.echart(_bars(Shown())).classes("w-full h-40")
            with ui.column().classes("gap-1"):
                ui.label("Leaves the sensor").classes("text-caption")
                leaving = ui.row().classes("gap-1").props('data-testid="leaving"')
    latest: list[Shown] = [Shown()]

    def refresh() -> None:
        shown = rig.shown
        if shown is latest[0]:
            return
        latest[0] = shown
        for picture, address in ((light, shown.light), (mask, shown.mask)):
            picture.props["src"] = address or _NOTHING
            picture.update()
        caption.text = f"{shown.scene}: {len(shown.values)} of {shown.d} ratios, all that is measured"
        bars.options.clear()
        bars.options.update(_bars(shown))
        bars.update()
        _answers(leaving, shown)

    ui.timer(STEP_S, refresh)


def _picture(title: str) -> ui.element:
    with ui.column().classes("gap-1"):
        ui.label(title).classes("text-caption")
        return ui.element("img").style(_PIXELS)


def _answers(place: ui.row, shown: Shown) -> None:
    place.clear()
    with place:
        if shown.answers is None:
            ui.badge("nothing yet", color="grey-6")
        elif not shown.answers:
            ui.badge("no face", color="grey-6")
        for name, answer in (shown.answers or {}).items():
            ui.badge(f"{name} {'yes' if answer else 'no'}", color="positive" if answer else "grey-6")


def _bars(shown: Shown) -> dict[str, Any]:
    limit = ceil(10 * shown.limit) / 10
    return {
        "animation": False,
        "grid": {"left": 40, "right": 8, "top": 8, "bottom": 20},
        "xAxis": {"type": "category", "data": list(range(1, shown.d + 1))},
        "yAxis": {"type": "value", "min": -limit, "max": limit},
        "series": [{"type": "bar", "data": [round(value, 3) for value in shown.values]}],
    }
