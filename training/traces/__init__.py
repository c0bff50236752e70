"""`snakegym traces`: looking at recordings and converting them."""
