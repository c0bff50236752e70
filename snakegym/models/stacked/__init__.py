"""Many models of one shape as one: operations, gradients written out, and the model of both."""
