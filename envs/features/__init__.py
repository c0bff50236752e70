"""The columns of an observation: what is told of nodes, layers, pairs of the two, and the process."""
