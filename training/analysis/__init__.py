"""From episodes to numbers: intervals, groups of training seeds, time to a target, summaries."""
