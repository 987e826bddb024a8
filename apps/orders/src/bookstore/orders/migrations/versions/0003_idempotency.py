"""Which answer was given under which Idempotency-Key; orders by customer.

Revision ID: 0003
"""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # A row without an answer is a request under way: whoever holds `token` works on it.
    op.execute("""
        CREATE TABLE idempotency_keys (
            scope text NOT NULL,
            key text NOT NULL,
            fingerprint bytea NOT NULL,
            token uuid NOT NULL,
            claimed_at timestamptz NOT NULL DEFAULT now(),
            order_id bigint REFERENCES orders,
            answer bytea,
            PRIMARY KEY (scope, key),
            CHECK ((answer IS NULL) = (order_id IS NULL))
        )
    """)
    op.execute("CREATE INDEX idempotency_keys_age ON idempotency_keys (claimed_at)")
    op.execute("""
        CREATE INDEX orders_of_customer ON orders (customer_id, id DESC) WHERE customer_id IS NOT NULL
    """)


def downgrade() -> None:
    op.execute("DROP INDEX orders_of_customer")
    op.execute("DROP TABLE idempotency_keys")
