"""A whole batch in one statement, in the form that costs the client least.

PostgreSQL gets one JSON text and makes rows of it itself. SQLite gets one row of VALUES for each: a
statement that is run once for each row gives the interpreter away each time, and waits for it beside a
busy network thread.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final

import orjson
from sqlalchemy import Connection, Table, bindparam, cast, column, func, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import JSON, JSONB, Insert, insert
from sqlalchemy.types import LargeBinary, Text, TypeEngine

from host.sink import SinkRow
from host.sql_tables import JSON_TEXT

ROWS_PARAMETER: Final = "rows"
MOST_VALUES: Final = 30_000
"""In one statement of SQLite, which takes 32,766."""


def insert_what_is_new(connection: Connection, table: Table, rows: Sequence[SinkRow], received: str) -> int:
    """Insert those of ``rows`` whose key is not there yet; returns how many."""
    if connection.dialect.name == "sqlite":
        parts = _parts(rows, MOST_VALUES // len(table.columns))
        return sum(_insert_into_sqlite(connection, table, part, received) for part in parts)
    statement = rows_insert(table).on_conflict_do_nothing()
    options = {"preserve_rowcount": True}
    parameters = rows_parameter(rows, received)
    return connection.execute(statement, parameters, execution_options=options).rowcount


@cache
def rows_insert(table: Table) -> Insert:
    """PostgreSQL's INSERT of the rows in the parameter :func:`rows_parameter`."""
    columns = list(table.columns)
    document = cast(bindparam(ROWS_PARAMETER, type_=Text()), JSON)
    sent = func.json_to_recordset(document).table_valued(
        *(_on_the_way(each.name, each.type) for each in columns)
    )
    typed = sent.render_derived(with_types=True)
    values = [
        func.decode(typed.c[each.name], "hex") if _is_binary(each.type) else typed.c[each.name]
        for each in columns
    ]
    return insert(table).from_select([each.name for each in columns], select(*values))


def rows_parameter(rows: Sequence[SinkRow], received: str) -> dict[str, str]:
    """The one parameter of :func:`rows_insert`: payloads as they are, bytes as hexadecimal digits."""
    documents = [
        values_of(row, received)
        | {
            "payload": orjson.Fragment(row.payload) if row.payload else None,
            "sealed": row.sealed.hex() if row.sealed is not None else None,
            "digest": row.digest.hex(),
        }
        for row in rows
    ]
    return {ROWS_PARAMETER: orjson.dumps(documents).decode()}


def values_of(row: SinkRow, received: str) -> dict[str, object]:
    """A row by the names of its table's columns, in their order."""
    return {
        "device": row.key.device_id,
        "stream": row.key.stream,
        "seq": row.key.seq,
        "kind": row.kind.value,
        "ts": row.ts,
        "clock": row.clock,
        "bundle": row.bundle,
        "received": received,
        "payload": row.payload or None,
        "sealed": row.sealed,
        "digest": row.digest,
        "copies": 1,
        "contradicted": False,
    }


def _insert_into_sqlite(connection: Connection, table: Table, rows: Sequence[SinkRow], received: str) -> int:
    values = tuple(chain.from_iterable(values_of(row, received).values() for row in rows))
    return connection.exec_driver_sql(_values_insert(table, len(rows)), values).rowcount


@cache
def _one_row(table: Table) -> tuple[str, str, str]:
    """An INSERT of one row: what comes before its values, the values, and what comes after."""
    dialect = sqlite.dialect(paramstyle="qmark")
    text = str(sqlite.insert(table).on_conflict_do_nothing().compile(dialect=dialect))
    head, _, rest = text.partition("(?")
    values, _, tail = rest.partition(")")
    return head, f"(?{values})", tail


def _values_insert(table: Table, rows: int) -> str:
    head, values, tail = _one_row(table)
    return f"{head}{', '.join([values] * rows)}{tail}"


def _parts(rows: Sequence[SinkRow], most: int) -> Iterator[Sequence[SinkRow]]:
    return (rows[start : start + most] for start in range(0, len(rows), most))


def _on_the_way(name: str, kind: TypeEngine[Any]) -> Any:  # noqa: ANN401 - a column that has no table
    if kind is JSON_TEXT:
        return column(name, JSONB)
    return column(name, Text() if _is_binary(kind) else kind)


def _is_binary(kind: TypeEngine[Any]) -> bool:
    return isinstance(kind, LargeBinary)
