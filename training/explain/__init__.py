"""`snakegym explain`: what moves a policy's choice, and where it differs from a planner."""
