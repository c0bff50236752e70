"""Recordings of links and compute: found, read, mended, split and kept; or made by the generator."""
