"""The monitor: watches every service and store, and tells how they are."""
