"""Which samples are not trained on: those that cannot be right, and those that fit in nowhere."""
