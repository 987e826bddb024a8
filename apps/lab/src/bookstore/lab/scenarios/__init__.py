"""The guides that the system grew from, as scripted steps: what a guide says beside what was seen."""
