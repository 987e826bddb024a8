"""A reservation's lines are written with it, in one statement, and don't look it up again: decision 0039.

Revision ID: 0008
"""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    _alter("NOT ENFORCED")


def downgrade() -> None:
    _alter("ENFORCED")


def _alter(how: str) -> None:
    op.execute(f"ALTER TABLE reservation_lines ALTER CONSTRAINT reservation_lines_reservation_id_fkey {how}")
