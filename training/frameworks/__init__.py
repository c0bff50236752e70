"""`snakegym compare`: Snake Learning beside other distributed learning frameworks."""
