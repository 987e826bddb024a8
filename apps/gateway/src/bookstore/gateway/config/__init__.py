"""The gateway's one file: what it may say, how it is read, and the one that comes along."""

from bookstore.gateway.config.model import Config
from bookstore.gateway.config.read import ConfigError, Problem, default, read_file, read_text

__all__ = ["Config", "ConfigError", "Problem", "default", "read_file", "read_text"]
