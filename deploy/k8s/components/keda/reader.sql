-- Who may count the jobs that are due, and nothing else: for psql, at orders_db, as the owner of its tables or above.
\getenv password LEDGER_READER_PASSWORD

CREATE ROLE ledger_reader LOGIN PASSWORD :'password' CONNECTION LIMIT 3;
GRANT CONNECT ON DATABASE orders_db TO ledger_reader;
GRANT SELECT (due_at, finished_at) ON ledger TO ledger_reader;
