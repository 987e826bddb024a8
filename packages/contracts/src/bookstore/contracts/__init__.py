"""What crosses the wire between Bookstore's services, and between them and their users.

Every shape is a frozen msgspec Struct that refuses unknown fields. Nothing here does I/O.
"""
