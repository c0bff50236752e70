"""Frameworks that cut the model: its parts lie, and are trained, at different places."""
