"""Stock: how many copies there are, and which of them orders hold."""
