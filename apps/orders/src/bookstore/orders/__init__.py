"""Orders: what was bought, by whom, at which price, kept before the answer is given."""
