"""Covers: one picture a book, kept in a folder or by an S3 service."""
