"""What a search looks books up by.

Revision ID: 0003
"""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # Every three letters in a row. What holds a word holds all of its grams: an index of them finds a word in
    # mid-title, and needs no extension (pg_trgm is not part of every PostgreSQL).
    op.execute("""
        CREATE FUNCTION grams(words text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
        RETURN (
            SELECT coalesce(array_agg(DISTINCT substr(folded, n, 3)), '{}')
            FROM (SELECT lower(words) AS folded) AS each, generate_series(1, length(folded) - 2) AS n
        )
    """)
    op.execute("CREATE INDEX books_grams ON books USING gin (grams(title || ' ' || author)) WHERE active")
    op.execute("CREATE INDEX books_price ON books (price) WHERE active")


def downgrade() -> None:
    op.execute("DROP INDEX books_price, books_grams")
    op.execute("DROP FUNCTION grams")
