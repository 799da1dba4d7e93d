"""An outbox in a folder of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_app.records.outbox import Outbox
from tests.edge_app.records.outbox_bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "outbox" / "outbox.db")


@pytest.fixture
def outbox(bench: Bench) -> Iterator[Outbox]:
    with bench.opened() as outbox:
        yield outbox
