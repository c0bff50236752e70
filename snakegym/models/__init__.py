"""Layered models, their states and their costs."""
