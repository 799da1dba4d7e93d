from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from lab.audit.proxies import as_lines, measured_proxies
from lsi.errors import ConfigError, DataError
from training.data_sets.data import DataFile

ROWS = 4000


class Labels(SimpleNamespace):
    """As much of a data file as has labels."""

    def __len__(self) -> int:
        return len(self.attributes)


def file_of(**changes: object) -> DataFile:
    """A coin, its copy, a noisy copy, another coin; the last half of the noisy copy is unknown."""
    generator = np.random.default_rng(0)
    coin = np.where(generator.random(ROWS) < 0.3, 1, -1)
    noisy = np.where(generator.random(ROWS) < 0.1, -coin, coin)
    noisy[ROWS // 2 :] = 0
    other = np.where(generator.random(ROWS) < 0.5, 1, -1)
    fields: dict[str, object] = {
        "path": Path("l.npz"),
        "attributes": np.stack((coin, coin, noisy, other), axis=1).astype(np.int8),
        "attribute_names": ("Coin", "Copy", "Noisy", "Other"),
        "identity": np.arange(ROWS) // 4,
    }
    return cast("DataFile", Labels(**{**fields, **changes}))


def test_a_copy_tells_all_a_coin_nothing_and_the_strongest_comes_first() -> None:
    found = measured_proxies(file_of(), ("Coin",))["of"]["Coin"]
    entropy = -(0.3 * np.log2(0.3) + 0.7 * np.log2(0.7))
    assert found["entropy_bits"] == pytest.approx(entropy, abs=0.02)
    assert list(found["proxies"]) == ["Copy", "Noisy", "Other"]
    bits = {name: row["bits"] for name, row in found["proxies"].items()}
    assert bits["Copy"] == pytest.approx(found["entropy_bits"])
    told = 0.3 * 0.1 + 0.7 * 0.9
    expected = (
        -(told * np.log2(told) + (1 - told) * np.log2(1 - told)) + 0.1 * np.log2(0.1) + 0.9 * np.log2(0.9)
    )
    assert bits["Noisy"] == pytest.approx(expected, abs=0.05)
    assert bits["Other"] < 0.003


def test_unknown_answers_do_not_count_and_intervals_hold_the_figure() -> None:
    row = measured_proxies(file_of(), ("Coin",))["of"]["Coin"]["proxies"]["Noisy"]
    assert row["rows"] == ROWS // 2
    low, high = row["bits_95"]
    assert low < row["bits"] < high


def test_a_table_for_people_names_file_and_figures() -> None:
    lines = as_lines(measured_proxies(file_of(), ("Coin", "Other")))
    assert lines[0] == f"l.npz: {ROWS} rows of {ROWS // 4} people"
    assert any(line.strip().startswith("Copy") for line in lines)


def test_what_is_not_labelled_is_refused() -> None:
    with pytest.raises(ConfigError, match="does not label Hat"):
        measured_proxies(file_of(), ("Coin", "Hat"))
    with pytest.raises(ConfigError, match="not asked for"):
        measured_proxies(file_of(), ())
    with pytest.raises(DataError, match="no labels"):
        measured_proxies(file_of(attribute_names=()), ("Coin",))
