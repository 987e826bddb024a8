"""What belongs to an order says so, and isn't looked up again for each row: decision 0039.

Revision ID: 0004
"""

from alembic import op

revision = "0004"
down_revision = "0003"

_OF_ORDERS = ("order_lines", "order_events", "ledger", "reservations")


def upgrade() -> None:
    _alter("NOT ENFORCED")


def downgrade() -> None:
    _alter("ENFORCED")


def _alter(how: str) -> None:
    for table in _OF_ORDERS:
        op.execute(f"ALTER TABLE {table} ALTER CONSTRAINT {table}_order_id_fkey {how}")
