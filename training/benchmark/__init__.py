"""`snakegym benchmark`: schedulers in several scenarios, on the same held-out episodes."""
