"""The gateway: the front door, which routes by prefix and streams both ways."""
