"""The lab's desk, where scenarios and experiments run, as the console sees it."""
