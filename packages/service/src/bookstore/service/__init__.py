"""What every Bookstore service needs once.

An app describes itself with `Service` (`app.py`) and starts with `run` (`command.py`); the other modules
are the parts that these two put together.
"""
