"""One stream of events for whoever looks on."""
