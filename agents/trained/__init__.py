"""What a training run leaves, read without running code: its config and the tensors of its checkpoints."""
