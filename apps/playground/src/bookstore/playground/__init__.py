"""The playground: a client with every protection, to play with."""
