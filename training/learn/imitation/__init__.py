"""Imitate, then improve: a policy that first learns to do as a planner does."""
