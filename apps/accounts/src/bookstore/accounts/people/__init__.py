"""Who can log in, and customers' records."""
