"""Name the causes of notices by the action that is asked for

They were sentences, which later versions word in another way: a cause that had only another sentence was told to be over.
A sentence that names no action of those below is forgotten: the next look tells the cause again if it is still there.
"""

from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

# The most special sentence first: earlier versions told several actions in one.
_ACTIONS = {
    "Its schedule cannot be followed:%": "schedule",
    "It stands still:%": "stands still",
    "%pdpp-worker deletions%": "decide on deletions",
    "%connection accept-account%": "decide on the account",
    "%Renew the sign-in%": "sign in",
    "%Sign in at the source again%": "sign in",
    "%Open the account yourself%": "sign in",
    "%Install the connector%": "install the connector",
    "%Correct the connector%": "correct the connector",
    "%connection resume%": "resume",
    "%pdpp-worker run % --full%": "run --full",
    "%pdpp-worker recover%": "recover",
}
_ASKS = "Its connector asks you: "


def upgrade() -> None:
    known = " ".join(f"WHEN cause LIKE '{sentence}' THEN '{action}'" for sentence, action in _ACTIONS.items())
    asks = f"WHEN starts_with(cause, '{_ASKS}') THEN 'asks: ' || substr(cause, {len(_ASKS) + 1})"
    op.execute("DROP INDEX ix_notices_connection")
    op.execute(f"UPDATE notices SET cause = CASE {asks} {known} ELSE '' END")
    op.execute("""
        DELETE FROM notices USING (
            SELECT id, row_number() OVER (PARTITION BY connection_id, cause ORDER BY told_at, id) AS place FROM notices
        ) AS ranked WHERE ranked.id = notices.id AND (place > 1 OR cause = '')
    """)
    op.execute("CREATE UNIQUE INDEX ix_notices_connection ON notices (connection_id, cause)")


def downgrade() -> None:
    # An earlier version would tell each of them to be over; told anew is nearer to the truth.
    op.execute("DELETE FROM notices")
