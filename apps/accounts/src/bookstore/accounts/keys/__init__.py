"""The keys that sign tokens: kept in the database, published as a key set, replaced by command."""
