"""Real requests through the gateway, made at the push of a button."""
