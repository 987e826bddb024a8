"""Makes the documentation: what its pages show of the code, and a site of all of them."""
