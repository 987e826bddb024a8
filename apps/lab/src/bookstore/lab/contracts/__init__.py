"""What crosses the wire, compared with what was released: what breaks, and the version it asks for."""
