"""Which run of which Redis server the cache is kept at, so that all replicas mean the same one.

Revision ID: 0006
"""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("ALTER TABLE cache ADD COLUMN run text NOT NULL DEFAULT ''")


def downgrade() -> None:
    op.execute("ALTER TABLE cache DROP COLUMN run")
