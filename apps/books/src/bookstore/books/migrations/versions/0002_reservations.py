"""What orders hold of the stock.

Revision ID: 0002
"""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        ALTER TABLE books
            ADD COLUMN reserved integer NOT NULL DEFAULT 0,
            ADD CONSTRAINT books_reserved_are_on_hand CHECK (reserved BETWEEN 0 AND on_hand)
    """)
    op.execute("""
        CREATE TABLE reservations (
            id text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9._:-]{1,64}$'),
            state text NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'committed', 'released')),
            created_at timestamptz NOT NULL DEFAULT now(),
            settled_at timestamptz CHECK ((settled_at IS NULL) = (state = 'held'))
        )
    """)
    op.execute("""
        CREATE TABLE reservation_lines (
            reservation_id text COLLATE "C" REFERENCES reservations,
            book_id bigint REFERENCES books,
            quantity integer NOT NULL CHECK (quantity > 0),
            PRIMARY KEY (reservation_id, book_id)
        )
    """)
    # Whoever looks after reservations asks for the oldest that are still held; nearly all are settled.
    op.execute("CREATE INDEX reservations_held ON reservations (created_at, id) WHERE state = 'held'")


def downgrade() -> None:
    op.execute("DROP TABLE reservation_lines, reservations")
    op.execute("ALTER TABLE books DROP COLUMN reserved")
