"""Orders with their lines, and the ledger of work that they are owed.

Revision ID: 0001
"""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE orders (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            customer_id bigint,
            status text NOT NULL DEFAULT 'Processing'
                CHECK (status IN ('Processing', 'Validated', 'Rejected', 'Failed', 'Cancelled')),
            lines integer NOT NULL CHECK (lines BETWEEN 1 AND 100),
            total_price numeric(16, 2) NOT NULL CHECK (total_price >= 0),
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    # A line keeps the book as it was when it was ordered, whatever becomes of the catalogue.
    op.execute("""
        CREATE TABLE order_lines (
            order_id bigint NOT NULL REFERENCES orders,
            line integer NOT NULL,
            book_id bigint NOT NULL,
            book_title text NOT NULL,
            book_author text NOT NULL,
            quantity integer NOT NULL CHECK (quantity BETWEEN 1 AND 10000),
            unit_price numeric(10, 2) NOT NULL CHECK (unit_price >= 0),
            total_price numeric(16, 2) NOT NULL CHECK (total_price = unit_price * quantity),
            PRIMARY KEY (order_id, line),
            UNIQUE (order_id, book_id)
        )
    """)
    # A row is work that an accepted order is owed; it is written with the order or not at all.
    op.execute("""
        CREATE TABLE ledger (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            order_id bigint NOT NULL REFERENCES orders,
            created_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    op.execute("CREATE INDEX ledger_order ON ledger (order_id, id DESC)")
    op.execute("CREATE INDEX orders_newest ON orders (created_at DESC, id DESC) WHERE lines = 1")


def downgrade() -> None:
    op.execute("DROP TABLE ledger, order_lines, orders")
