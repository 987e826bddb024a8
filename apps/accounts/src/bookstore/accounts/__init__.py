"""People: who registers and logs in, the keys that sign their tokens, customers' records."""
