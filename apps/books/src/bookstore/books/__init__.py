"""The catalogue: books, their prices and their stock."""
