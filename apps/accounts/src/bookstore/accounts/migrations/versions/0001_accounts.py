"""People, their sessions, failed logins, and the keys that sign tokens.

Revision ID: 0001
"""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE customers (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            name text NOT NULL CHECK (length(name) BETWEEN 1 AND 500),
            email text NOT NULL CHECK (length(email) BETWEEN 3 AND 254),
            active boolean NOT NULL DEFAULT true,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now()
        )
    """)
    # Who leaves sets the address free; their record stays, because orders name it.
    op.execute("CREATE UNIQUE INDEX customers_email ON customers (email) WHERE active")
    op.execute("CREATE INDEX customers_newest ON customers (created_at DESC, id DESC) WHERE active")
    op.execute("""
        CREATE TABLE users (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            email text NOT NULL CHECK (length(email) BETWEEN 3 AND 254),
            name text NOT NULL CHECK (length(name) BETWEEN 1 AND 500),
            password_hash text NOT NULL,
            role text NOT NULL CHECK (role IN ('customer', 'staff', 'ops')),
            customer_id bigint UNIQUE REFERENCES customers,
            active boolean NOT NULL DEFAULT true,
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now(),
            CHECK ((role = 'customer') = (customer_id IS NOT NULL))
        )
    """)
    op.execute("CREATE UNIQUE INDEX users_email ON users (email) WHERE active")
    op.execute("""
        CREATE TABLE sessions (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            user_id bigint NOT NULL REFERENCES users,
            created_at timestamptz NOT NULL DEFAULT now(),
            expires_at timestamptz NOT NULL,
            ended_at timestamptz,
            ended_by text CHECK (ended_by IN ('logout', 'password', 'reuse', 'deletion')),
            CHECK ((ended_at IS NULL) = (ended_by IS NULL))
        )
    """)
    op.execute("CREATE INDEX sessions_user ON sessions (user_id) WHERE ended_at IS NULL")
    op.execute("CREATE INDEX sessions_expiry ON sessions (expires_at)")
    # Only digests: whoever reads this table can't use what it holds.
    op.execute("""
        CREATE TABLE refresh_tokens (
            digest bytea PRIMARY KEY CHECK (length(digest) = 32),
            session_id bigint NOT NULL REFERENCES sessions ON DELETE CASCADE,
            used_at timestamptz
        )
    """)
    op.execute("CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id)")
    # At most one token of a session is good.
    op.execute("CREATE UNIQUE INDEX refresh_tokens_good ON refresh_tokens (session_id) WHERE used_at IS NULL")
    # The account as a digest: people type passwords into the wrong field.
    op.execute("""
        CREATE TABLE login_failures (
            account bytea NOT NULL CHECK (length(account) = 32),
            address text NOT NULL,
            at timestamptz NOT NULL DEFAULT clock_timestamp()
        )
    """)
    op.execute("CREATE INDEX login_failures_address ON login_failures (address, at)")
    op.execute("CREATE INDEX login_failures_age ON login_failures (at)")
    op.execute("""
        CREATE TABLE signing_keys (
            kid text PRIMARY KEY,
            algorithm text NOT NULL CHECK (algorithm IN ('EdDSA', 'ES256', 'RS256')),
            public jsonb NOT NULL,
            private bytea NOT NULL,
            sealed boolean NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            signs_from timestamptz NOT NULL,
            published_until timestamptz
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE signing_keys, login_failures, refresh_tokens, sessions, users, customers")
