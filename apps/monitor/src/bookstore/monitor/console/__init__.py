"""The page that people keep open: static files, served from memory."""
