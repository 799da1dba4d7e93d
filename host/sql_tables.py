"""The tables of a database sink, the same in SQLite and PostgreSQL."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

METADATA: Final = MetaData()
TEXT_ID: Final = 32
JSON_TEXT: Final = Text().with_variant(JSONB(), "postgresql")


def _messages(name: str) -> Table:
    """One row per key. ``copies`` counts how often it came, ``contradicted`` that one copy was another."""
    return Table(
        name,
        METADATA,
        Column("device", String(TEXT_ID), nullable=False),
        Column("stream", String(16), nullable=False),
        Column("seq", BigInteger, nullable=False),
        Column("kind", String(16), nullable=False),
        Column("ts", String(32), nullable=False),
        Column("clock", String(16), nullable=False),
        Column("bundle", String(16), nullable=False),
        Column("received", String(32), nullable=False),
        Column("payload", JSON_TEXT, nullable=True),
        Column("sealed", LargeBinary, nullable=True),
        Column("digest", LargeBinary, nullable=False),
        Column("copies", Integer, nullable=False),
        Column("contradicted", Boolean, nullable=False),
        PrimaryKeyConstraint("device", "stream", "seq"),
        Index(f"{name}_by_time", "ts"),
    )


RECORD: Final = _messages("lsi_record")
"""``event``, ``agg`` and ``latent``: numbered without gaps, kept on the device until the broker has them."""

ATTR: Final = _messages("lsi_attr")
"""Live state, numbered by scans: gaps are normal."""

STREAM: Final = Table(
    "lsi_stream",
    METADATA,
    Column("device", String(TEXT_ID), nullable=False),
    Column("stream", String(16), nullable=False),
    Column("settled_to", BigInteger, nullable=False, comment="up to here every record is here or given up"),
    PrimaryKeyConstraint("device", "stream"),
)

GONE: Final = Table(
    "lsi_gone",
    METADATA,
    Column("device", String(TEXT_ID), nullable=False),
    Column("stream", String(16), nullable=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    PrimaryKeyConstraint("device", "stream", "first_seq", "last_seq"),
)
"""Records that the device said it has no more: holes that nobody can fill."""

QUARANTINE: Final = Table(
    "lsi_quarantine",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("received", String(32), nullable=False),
    Column("topic", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
)
