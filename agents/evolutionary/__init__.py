"""Plans found by evolution, with pymoo (the extra `evolutionary`)."""
