"""The metadata of all tables, and the columns that several of them have."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, ForeignKey, MetaData, func

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def moment(name: str, *, default: bool = False, nullable: bool = True) -> Column[object]:
    """Make a column for a time; `default` is the time of the insertion."""
    return Column(
        name, DateTime(timezone=True), nullable=nullable and not default, server_default=func.now() if default else None
    )


def connection(*, primary_key: bool = False) -> Column[int]:
    """Make the column that names the connection; its removal removes the row."""
    target = ForeignKey("connections.id", ondelete="CASCADE")
    return Column("connection_id", BigInteger, target, primary_key=primary_key, nullable=False)


def one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    """Make a constraint: the column holds one of these values."""
    quoted = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({quoted})", name=column)
