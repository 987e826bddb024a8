"""What the replicas tell each other about the cache when Redis doesn't reach them all.

Revision ID: 0005
"""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE cache (
            epoch bigint NOT NULL DEFAULT 1,
            closed_until timestamptz NOT NULL DEFAULT '-infinity'
        )
    """)
    op.execute("INSERT INTO cache DEFAULT VALUES")
    op.execute("CREATE UNIQUE INDEX cache_has_one_row ON cache ((true))")


def downgrade() -> None:
    op.execute("DROP TABLE cache")
