"""The desk: a process of the running system through which the console runs experiments and makes faults."""
