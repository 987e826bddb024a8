"""What belongs to an order says so, and isn't looked up again for each row: decision 0039.

Revision ID: 0004
"""

from bookstore.service.references import enforce, leave_unenforced

revision = "0004"
down_revision = "0003"

_OF_ORDERS = ("order_lines", "order_events", "ledger", "reservations")


def upgrade() -> None:
    for table in _OF_ORDERS:
        leave_unenforced(table, f"{table}_order_id_fkey")


def downgrade() -> None:
    for table in _OF_ORDERS:
        enforce(table, f"{table}_order_id_fkey")
