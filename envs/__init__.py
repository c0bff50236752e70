"""The Process Controller's decision as Gymnasium environments."""
