"""Local serpentine training and the engines that run it."""
