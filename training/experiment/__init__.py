"""`snakegym experiment`: what interruptions cost in accuracy."""
