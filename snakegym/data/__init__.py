"""Datasets, partitions over nodes and their divergence."""
