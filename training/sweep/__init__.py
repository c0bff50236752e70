"""`snakegym sweep`: many trainings with other hyperparameters, as a sweep file of Weights & Biases says."""
