"""Which sink a word on the command line means."""

from pathlib import Path
from typing import Final

from host.sink import Sink
from lsi.errors import SinkError

_HINT: Final = "records.jsonl, records.db, sqlite:///records.db or postgresql://user@host/database."
_INSTALL: Final = "pip install 'lsi-host[record]'."


def open_sink(where: str) -> Sink:
    """The sink at ``where``: a file ``.jsonl``, a file ``.db``, or a database's URL.

    A password in a URL shows in the list of processes: PostgreSQL reads it from ``~/.pgpass`` too.

    Raises:
        SinkError: It cannot be opened, or is none.
    """
    if where.endswith(".jsonl") and "://" not in where:
        from host.jsonl_sink import JsonLinesSink  # noqa: PLC0415 - one sink is opened, the others' libraries stay out

        return JsonLinesSink(Path(where))
    try:
        from sqlalchemy.engine import make_url  # noqa: PLC0415 - in an extra
        from sqlalchemy.exc import ArgumentError  # noqa: PLC0415 - same

        from host.sql_sink import SqlSink  # noqa: PLC0415 - same
    except ImportError as cause:
        raise SinkError(f"Sink {where.partition(':')[0]!r} needs SQLAlchemy.", hint=_INSTALL) from cause
    try:
        url = make_url(f"sqlite:///{where}" if where.endswith(".db") and "://" not in where else where)
    except ArgumentError as cause:
        raise SinkError(f"{where!r} is no sink.", hint=_HINT) from cause
    if url.get_backend_name() not in {"sqlite", "postgresql"}:
        raise SinkError(f"There is no sink for {url.get_backend_name()}.", hint=_HINT)
    return SqlSink(
        url.set(drivername="postgresql+psycopg") if url.get_backend_name() == "postgresql" else url
    )
