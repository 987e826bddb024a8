"""A TCP proxy in front of any dependency, told over HTTP in toxiproxy's words what to do to the bytes."""
