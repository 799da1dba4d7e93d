"""Which pairs are compared, and who wins them."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from lab.baselines.comparison import HEADS, LEARNED, PICTURE, losses_of, name_of
from lab.baselines.methods import METHODS, chosen_methods
from lab.baselines.page import baseline_lines, baseline_sections
from lsi.errors import ConfigError


def _row(
    method: str, value: float, metric: str = "psnr", d: int = 16, reading: str = PICTURE
) -> dict[str, Any]:
    return {"method": method, "metric": metric, "d": d, "value": value, "reading": reading}


def test_more_is_better_but_for_errors_and_distances_and_a_draw_is_no_win() -> None:
    for metric, worse, better in (("psnr", 1.0, 3.0), ("frechet", 3.0, 1.0), ("landmark_nme", 3.0, 1.0)):
        rows = [_row(LEARNED, 2.0, metric)]
        assert losses_of([*rows, _row("other", worse, metric)]) == ([], 1)
        for value in (better, 2.0):
            lost, pairs = losses_of([*rows, _row("other", value, metric)])
            assert pairs == 1
            assert lost == [
                {
                    "metric": metric, "d": 16, "reading": PICTURE, "learned_masks": 2.0, "baseline": "other",
                    "its_value": value,
                }
            ]  # fmt: skip


def test_only_what_is_alike_is_compared() -> None:
    rows = [
        _row(LEARNED, 1.0),
        _row(LEARNED, 0.5),
        _row("other", 9.0, d=64),
        _row("other", 9.0, "ssim"),
        _row("other", 9.0, reading=HEADS),
        _row("mean face", 9.0, d=0),
        _row("no number", float("nan")),
    ]
    assert losses_of(rows) == ([], 0)


def test_a_bank_is_called_by_how_its_masks_came_about() -> None:
    def name(**settings: object) -> str:
        return name_of(cast("Any", SimpleNamespace(record={"settings": settings})))

    assert name(fixed_masks=False, start="noise") == LEARNED
    assert name(fixed_masks=True, start="noise") == "random masks, our encoder"
    assert name(fixed_masks=True, start="dither") == "fixed masks, our encoder"
    assert name_of(cast("Any", SimpleNamespace(record={}))) == LEARNED


def test_methods_are_chosen_by_name() -> None:
    assert chosen_methods("all") == tuple(METHODS)
    assert chosen_methods("none") == ()
    assert chosen_methods("unrolled-1bit,hadamard-tv") == ("hadamard-tv", "unrolled-1bit")
    for words in ("hadamard", "hadamard-tv,hadamard-tv", ""):
        with pytest.raises(ConfigError, match="--baselines"):
            chosen_methods(words)


def _found(rows: list[dict[str, Any]]) -> dict[str, Any]:
    lost, pairs = losses_of(rows)
    return {
        "rows": rows, "losses": lost, "pairs": pairs, "budget": "b", "learned_from": 3, "adaptations": "a",
    }  # fmt: skip


def test_page_and_lines_say_where_learned_masks_do_not_win() -> None:
    rows = [_row(LEARNED, 2.0), _row("other", 3.25), _row("mean face", 1.5, d=0)]
    page = "".join(baseline_sections(_found(rows)))
    assert "1 of 1 comparisons" in page
    assert page.count("3.250") == 2  # in its table, and among the losses
    assert "1.500" in page  # what needs no measurement stands at every d
    assert baseline_lines(_found(rows))[-1].endswith("in 1 of 1 pairs: psnr at d = 16 (other)")
    rows[1]["value"] = 1.0
    assert "learned masks win all 1 comparisons" in "".join(baseline_sections(_found(rows)))
    assert baseline_lines(_found(rows))[-1].endswith("in 0 of 1 pairs: nowhere")
