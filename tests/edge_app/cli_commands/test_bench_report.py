import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_app.cli_commands.bench_report import BenchReport, DurationRow, RateRow, Section, Setup, bars_of
from firmware.acquisition.bus_timing import Durations

SETUP = Setup(
    "Raspberry Pi 4, 4 cores", "Linux 6.12 aarch64", "3.13.5", "bench", "mcp3208", "stepped", "monotonic"
)
DURATIONS = Durations(np.array([1_000] * 98 + [20_000, 3_000_000]))
EXPECTED = """\
machine   Raspberry Pi 4, 4 cores
kernel    Linux 6.12 aarch64
python    3.13.5
board     bench
parts     mcp3208
mode      stepped
clock     monotonic

us                                           count    median       p95       p99       min       max
transfer                                       100       1.0       1.0      49.8       1.0    3000.0

a second
transfers                                   1000.0

trigger pulse to return, histogram
     0 to     10 us       98  ########################################
    10 to     20 us        0
    20 to     50 us        1  #
    50 to    100 us        0
   100 to    200 us        0
   200 to    500 us        0
   500 to   1000 us        0
  1000 to   2000 us        0
  2000 to   5000 us        1  #
  5000 to  10000 us        0
 10000 and more            0

One note."""


def report() -> BenchReport:
    bus = Section((DurationRow.of("transfer", DURATIONS),), (RateRow("transfers", 1000.0),))
    trigger = Section(trigger_latency=bars_of(DURATIONS), notes=("One note.",))
    return BenchReport(SETUP, (bus, trigger))


def test_the_table_is_this_text() -> None:
    assert report().to_table() == EXPECTED


def test_the_document_is_plain_json_and_holds_the_same() -> None:
    document = json.loads(json.dumps(report().to_document()))
    assert document["durations_us"] == [
        {"name": "transfer", "count": 100, "median": 1.0, "p95": 1.0, "p99": 49.8, "min": 1.0, "max": 3000.0}
    ]
    assert document["rates"] == [{"name": "transfers", "per_s": 1000.0}]
    assert document["trigger_latency"][-1] == {"from_us": 10_000, "to_us": None, "count": 0}
    assert document["notes"] == ["One note."]
    assert document["machine"] == SETUP.machine


def test_a_report_without_notes_and_triggers_ends_with_its_rates() -> None:
    table = BenchReport(SETUP, (Section(rates=(RateRow("masks", 12.34),)),)).to_table()
    assert table.splitlines()[-1].split() == ["masks", "12.3"]


@given(st.lists(st.integers(0, 10**11), min_size=1, max_size=50))
def test_the_row_of_a_duration_is_in_order(values: list[int]) -> None:
    row = DurationRow.of("x", Durations(np.array(values)))
    assert row.min <= row.median <= row.p95 <= row.p99 <= row.max
    assert row.count == len(values)
