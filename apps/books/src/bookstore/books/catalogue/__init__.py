"""Books and their prices: what is on sale."""
