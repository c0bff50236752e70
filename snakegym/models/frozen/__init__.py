"""What is kept of layers that are not trained, and in which precision."""
