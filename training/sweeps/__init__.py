"""Sweep files that ship with snakegym, for `snakegym sweep NAME` and for `wandb sweep`."""
