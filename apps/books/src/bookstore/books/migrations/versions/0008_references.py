"""A reservation's lines are written with it, in one statement, and don't look it up again: decision 0039.

Revision ID: 0008
"""

from bookstore.service.references import enforce, leave_unenforced

revision = "0008"
down_revision = "0007"

_OF_RESERVATIONS = ("reservation_lines", "reservation_lines_reservation_id_fkey")


def upgrade() -> None:
    leave_unenforced(*_OF_RESERVATIONS)


def downgrade() -> None:
    enforce(*_OF_RESERVATIONS)
