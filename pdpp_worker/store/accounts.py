"""The account at the source that a connection reads: one, and another one only by the owner's word."""

from __future__ import annotations

from sqlalchemy import Connection, text

from pdpp_worker.store import leases
from pdpp_worker.store.batch import Claim
from pdpp_worker.store.connections import ConnectionRow, lock
from pdpp_worker.store.gaps import credentials as gap_credentials
from pdpp_worker.store.met_account import Account
from pdpp_worker.store.values import storable

_READ = text("SELECT account_identity, account_label, other_identity, other_label FROM connections WHERE id = :id")
_KEEP = text("""
    UPDATE connections SET account_identity = :identity, account_label = coalesce(:label, account_label),
        other_identity = NULL, other_label = NULL
    WHERE id = :id
""")
_NOTE_OTHER = text("UPDATE connections SET other_identity = :identity, other_label = :label WHERE id = :id")
_REPLACE = text("""
    UPDATE connections SET account_identity = other_identity, account_label = other_label,
        other_identity = NULL, other_label = NULL
    WHERE id = :id
""")


def recognize(connection: Connection, claim: Claim, met: Account) -> Account | None:
    """Keep the first account that is met; returns the one that is kept where another one was met, else None.

    Raises:
        LeaseLostError: there is something to write, and another worker holds the connection.
    """
    met = Account(storable(met.identity), storable(met.label))
    leases.renew(connection, claim)
    row = connection.execute(_READ, {"id": claim.connection_id}).one()
    known = row.account_identity
    is_same = known in (None, met.identity)
    connection.execute(_KEEP if is_same else _NOTE_OTHER, {"id": claim.connection_id, **met._asdict()})
    return None if is_same else Account(known, row.account_label)


def is_kept(row: ConnectionRow, met: Account) -> bool:
    """Whether nothing is to be written of the account, by the connection as it was when its lease was taken.

    Only who holds the lease writes of accounts, and the owner who takes another one that was met.
    """
    kept = (row.account_identity, row.other_identity) == (met.identity, None)
    return kept and met.label in (None, row.account_label)


def known(connection: Connection, connection_id: int) -> Account | None:
    """The account that a connection reads; None: none was met yet."""
    row = connection.execute(_READ, {"id": connection_id}).one_or_none()
    return None if row is None or row.account_identity is None else Account(row.account_identity, row.account_label)


def accept(connection: Connection, connection_id: int) -> Account | None:
    """Take the other account that was met for the connection's own; what waited for that is due. None: there is none.

    Raises:
        NotFoundError: the connection was removed meanwhile.
    """
    lock(connection, connection_id)
    row = connection.execute(_READ, {"id": connection_id}).one()
    if row.other_identity is None:
        return None
    gap_credentials.renewed(connection, connection_id)
    connection.execute(_REPLACE, {"id": connection_id})
    return Account(row.other_identity, row.other_label)
