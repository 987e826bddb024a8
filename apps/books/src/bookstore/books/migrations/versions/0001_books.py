"""The catalogue.

Revision ID: 0001
"""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE books (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            title text NOT NULL CHECK (length(title) BETWEEN 1 AND 500),
            author text NOT NULL CHECK (length(author) BETWEEN 1 AND 500),
            description text CHECK (length(description) <= 10000),
            price numeric(10, 2) NOT NULL CHECK (price >= 0),
            on_hand integer NOT NULL DEFAULT 0 CHECK (on_hand >= 0),
            active boolean NOT NULL DEFAULT true,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    # The list of /v1 is ordered by age, that of /v2 by id: the newest first, and only what is on sale.
    op.execute("CREATE INDEX books_newest ON books (created_at DESC, id DESC) WHERE active")
    op.execute("CREATE INDEX books_active ON books (id DESC) WHERE active")


def downgrade() -> None:
    op.execute("DROP TABLE books")
