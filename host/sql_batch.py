"""A whole batch as one PostgreSQL statement with one array for each column.

The text of the statement does not depend on the batch, so the server plans it once. Rows of VALUES cost
114 us each on the client alone, arrays a tenth.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from psycopg.types.array import ListBinaryDumper
from sqlalchemy import Table, bindparam, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, Insert, insert
from sqlalchemy.types import Text, TypeEngine

from host.sql_tables import JSON_TEXT


@cache
def unnested_insert(table: Table) -> Insert:
    """INSERT of rows that come as arrays; each column of ``table`` but no other is named by a parameter."""
    columns = list(table.columns)
    arrays = [bindparam(column.name, type_=ARRAY(_on_the_way(column.type))) for column in columns]
    sent = func.unnest(*arrays).table_valued(*(column.name for column in columns)).render_derived()
    values = [
        cast(sent.c[column.name], JSONB) if column.type is JSON_TEXT else sent.c[column.name]
        for column in columns
    ]
    return insert(table).from_select([column.name for column in columns], select(*values))


def send_arrays_binary(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's connection
    """Have psycopg write arrays in PostgreSQL's binary form: as text it escapes every quote in them."""
    connection.adapters.register_dumper(list, ListBinaryDumper)


def columns_of(rows: Sequence[Mapping[str, object]]) -> dict[str, list[object]]:
    """The arrays for :func:`unnested_insert`."""
    return {name: [row[name] for row in rows] for name in rows[0]}


def _on_the_way(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """JSON comes as text and is read by the server."""
    return Text() if kind is JSON_TEXT else kind
