"""Experiments: failures as data, run against the real processes, with honest verdicts."""
