"""The folder of a run: writing it safely, what is partly done, seeds, progress."""
