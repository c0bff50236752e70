"""Training and evaluating several models of one kind in one pass."""
