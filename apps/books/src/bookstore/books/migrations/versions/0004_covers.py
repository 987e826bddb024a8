"""Which book has which cover.

Revision ID: 0004
"""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE covers (
            book_id bigint PRIMARY KEY REFERENCES books,
            name text NOT NULL UNIQUE,
            media_type text NOT NULL,
            width integer NOT NULL CHECK (width > 0),
            height integer NOT NULL CHECK (height > 0),
            size integer NOT NULL CHECK (size > 0),
            sha256 text NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now()
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE covers")
