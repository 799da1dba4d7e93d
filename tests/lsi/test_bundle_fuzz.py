"""What the fuzzer calls, without the fuzzer; its own run is ``make fuzz``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.bundle_fuzz import figures_of
from benchmarks.bundle_fuzz_ways import WAYS, seeds, try_one
from lsi.archive import unpack
from lsi.errors import LsiError


@pytest.mark.parametrize("seed", seeds(), ids=lambda seed: f"{seed[0]}-{len(seed)}")
def test_every_seed_is_sound_and_reaches_the_end_of_its_way(seed: bytes) -> None:
    WAYS[seed[0]](seed[1:])


@given(st.integers(0, len(WAYS) - 1), st.binary(min_size=1, max_size=400))
def test_any_bytes_in_any_way_end_in_a_project_error_or_well(way: int, content: bytes) -> None:
    try_one(bytes([way]) + content)


@given(st.data())
def test_a_changed_seed_does_too(data: st.DataObject) -> None:
    seed = bytearray(data.draw(st.sampled_from(seeds())))
    for _ in range(data.draw(st.integers(1, 4))):
        seed[data.draw(st.integers(1, len(seed) - 1))] = data.draw(st.integers(0, 255))
    try_one(bytes(seed))


def test_an_error_that_is_none_of_ours_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(content: bytes, _source: str) -> None:
        raise KeyError(content)

    monkeypatch.setattr("benchmarks.bundle_fuzz_ways.parse_bundle", careless)
    with pytest.raises(KeyError):
        try_one(seeds()[0])


def test_an_archive_with_a_second_spelling_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.bundle_fuzz_ways.pack", lambda _members: b"another")
    with pytest.raises(AssertionError, match="two archives"):
        try_one(seeds()[0])


def test_a_signature_that_counts_though_nobody_made_it_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    signature = next(seed for seed in seeds() if seed[0] == 3)
    monkeypatch.setattr("benchmarks.bundle_fuzz_ways.check_signature", lambda _file, _trusted: None)
    with pytest.raises(AssertionError, match="not made with the key"):
        try_one(signature[:-9] + b"=")


def test_figures_are_read_off_what_the_fuzzer_says() -> None:
    told = "#14 INITED cov: 300 ft: 900 corp: 3/9b\n#99 NEW    cov: 487 ft: 1597 corp: 57/157Kb\n"
    figures = {each.name: each for each in figures_of(told + "stat::number_of_executed_units: 2807\n", 0)}
    assert (figures["executions"].value, figures["edges"].value, figures["findings"].holds) == (
        2807,
        487,
        True,
    )
    assert figures["edges"].beside["edges_of_the_seeds"] == 300
    assert not figures_of(told + "stat::number_of_executed_units: 1\n", 1)[0].holds
    with pytest.raises(ValueError, match="did not run"):
        figures_of("No module named atheris", 0)


def test_a_sound_archive_is_refused_once_a_byte_differs() -> None:
    archive = seeds()[0][1:]
    assert unpack(archive, "sound")
    with pytest.raises(LsiError):
        WAYS[0](archive[:-1] + b"x")
