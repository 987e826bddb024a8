"""Logging in, staying logged in, and what stops a guesser."""
