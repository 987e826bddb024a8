"""The ledger becomes a queue; each change of an order's state is kept; stock is held by reservations.

Revision ID: 0002
"""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # `validate` asks the supplier; `settle` tells books what becomes of a reservation. A row is open until
    # `finished_at`: `ready`, or `parked` until `due_at`. `attempts` are claims that came to no outcome yet.
    op.execute("""
        ALTER TABLE ledger
            ADD kind text NOT NULL DEFAULT 'validate' CHECK (kind IN ('validate', 'settle')),
            ADD state text NOT NULL DEFAULT 'ready'
                CHECK (state IN ('ready', 'parked', 'done', 'dead', 'cancelled', 'redriven', 'purged')),
            ADD attempts integer NOT NULL DEFAULT 0,
            ADD episodes integer NOT NULL DEFAULT 0,
            ADD token bigint NOT NULL DEFAULT 0,
            ADD lease_until timestamptz,
            ADD due_at timestamptz NOT NULL DEFAULT now(),
            ADD published_at timestamptz,
            ADD finished_at timestamptz,
            ADD cause text,
            ADD traceparent text,
            ADD reservation_id text,
            ADD settlement text CHECK (settlement IN ('commit', 'release')),
            ADD reserve boolean NOT NULL DEFAULT false,
            ADD CHECK ((finished_at IS NULL) = (state IN ('ready', 'parked'))),
            ADD CHECK ((kind = 'settle') = (settlement IS NOT NULL AND reservation_id IS NOT NULL))
    """)
    # Most updates touch no indexed column and so stay on their page; dead rows go soon.
    op.execute("""
        ALTER TABLE ledger SET (
            fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0
        )
    """)
    op.execute("CREATE INDEX ledger_due ON ledger (kind, due_at) WHERE finished_at IS NULL")
    op.execute("CREATE INDEX ledger_age ON ledger (kind, created_at) WHERE finished_at IS NULL")
    op.execute("CREATE INDEX ledger_dead ON ledger (id) WHERE state = 'dead'")
    op.execute("""
        CREATE UNIQUE INDEX ledger_one_validation ON ledger (order_id)
            WHERE kind = 'validate' AND finished_at IS NULL
    """)
    # Whether the queue is paused: one row.
    op.execute("""
        CREATE TABLE queue (
            id boolean PRIMARY KEY DEFAULT true CHECK (id),
            paused_at timestamptz
        )
    """)
    op.execute("INSERT INTO queue DEFAULT VALUES")
    # Who holds a reservation at books: an order, or nobody who ever will (`order_id` is null).
    op.execute("""
        CREATE TABLE reservations (
            id text PRIMARY KEY,
            order_id bigint REFERENCES orders,
            created_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    op.execute("CREATE INDEX reservations_unowned ON reservations (created_at) WHERE order_id IS NULL")
    op.execute("ALTER TABLE orders ADD reservation_id text UNIQUE")
    op.execute("ALTER TABLE orders SET (fillfactor = 80)")
    op.execute("""
        CREATE TABLE order_events (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            order_id bigint NOT NULL REFERENCES orders,
            from_state text,
            to_state text NOT NULL,
            at timestamptz NOT NULL DEFAULT now(),
            cause text NOT NULL
        )
    """)
    op.execute("CREATE INDEX order_events_order ON order_events (order_id, id)")
    op.execute("""
        INSERT INTO order_events (order_id, from_state, to_state, at, cause)
        SELECT id, NULL, 'Processing', created_at, 'ordered' FROM orders ORDER BY id
    """)


def downgrade() -> None:
    op.execute("DROP TABLE order_events, reservations, queue")
    op.execute("ALTER TABLE orders DROP reservation_id")
    op.execute("DELETE FROM ledger WHERE kind = 'settle'")
    op.execute("""
        ALTER TABLE ledger
            DROP kind, DROP state, DROP attempts, DROP episodes, DROP token, DROP lease_until, DROP due_at,
            DROP published_at, DROP finished_at, DROP cause, DROP traceparent, DROP reservation_id,
            DROP settlement, DROP reserve
    """)
