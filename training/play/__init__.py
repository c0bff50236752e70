"""`snakegym play`: one episode as a moving picture."""
