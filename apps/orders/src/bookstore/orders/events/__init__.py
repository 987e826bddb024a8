"""Watching an order: its state now, and each change as it comes (server-sent events)."""
