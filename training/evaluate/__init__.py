"""`snakegym evaluate`: schedulers on the same held-out episodes."""
