"""The scenarios of `snakegym compare --preset`."""
