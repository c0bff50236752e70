"""Playing episodes and keeping what matters of them."""
