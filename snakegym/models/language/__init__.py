"""Decoders of texts: their shapes as layers, and the weights of a local folder."""
