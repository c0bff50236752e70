"""`snakegym scenarios`: listing, showing and checking them."""
