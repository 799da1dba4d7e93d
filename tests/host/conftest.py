"""A PostgreSQL server for the tests of this folder."""

from collections.abc import Iterator

import pytest

from lab.postgres import LocalPostgres, find_postgres, local_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[LocalPostgres]:
    """Debian's PostgreSQL on a unix socket; without it the test is skipped with what to install."""
    binaries = find_postgres()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (apt install postgresql)")
    with local_postgres(binaries) as server:
        yield server
