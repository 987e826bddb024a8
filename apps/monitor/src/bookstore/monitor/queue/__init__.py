"""The queue of what orders are owed, as orders tells it."""
