"""Start, watch and stop the whole system on this machine."""
