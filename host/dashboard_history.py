"""The history of one device's answers as the options of a chart: one lane for each answer."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from host.fleet import Moment

LONGEST_STEP_S: Final = 150.0
"""Without a word for two heartbeats and a half nothing is known: the line breaks."""

MS_PER_S: Final = 1000
HEIGHT: Final = 0.7
"""Of a lane that a "yes" fills."""


def history_options(history: Sequence[Moment]) -> dict[str, Any]:
    """Step lines over time, high for yes, low for no, broken where it is not known.

    Names come from devices: they are drawn on a canvas, never put into the page as markup.
    """
    names = sorted(
        {name for moment in history for name in moment.answers}, key=lambda name: (name == "face", name)
    )
    return {
        "animation": False,
        "grid": {"left": 8, "right": 12, "top": 8, "bottom": 24, "containLabel": True},
        "xAxis": {"type": "time", "axisLabel": {"hideOverlap": True}},
        "yAxis": {
            "type": "value",
            "min": 0,
            "max": max(1, len(names)),
            "interval": 1,
            "axisLabel": {"show": False},
        },
        "legend": {"show": False},
        "tooltip": {"show": False},
        "series": [_lane(name, place, history) for place, name in enumerate(names)],
    }


def _lane(name: str, place: int, history: Sequence[Moment]) -> dict[str, Any]:
    return {
        "type": "line",
        "step": "end",
        "name": name,
        "showSymbol": len(history) == 1,
        "endLabel": {"show": True, "formatter": "{a}", "align": "right", "offset": [0, -10]},
        "areaStyle": {"origin": place, "opacity": 0.15},
        "data": _points(name, place, history),
    }


def _points(name: str, place: int, history: Sequence[Moment]) -> list[list[float | None]]:
    points: list[list[float | None]] = []
    for moment, after in pairwise([*history, None]):
        if moment is None:
            break
        answer = moment.answers.get(name)
        points.append([moment.at_s * MS_PER_S, None if answer is None else place + 0.1 + HEIGHT * answer])
        if after is not None and after.at_s - moment.at_s > LONGEST_STEP_S:
            points.append([(moment.at_s + LONGEST_STEP_S) * MS_PER_S, None])
    return points
