"""What was switched, by whom, and what came of it."""
