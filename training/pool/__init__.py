"""Where the tasks of a command are worked through: here, in processes, or on the machines of a cluster."""
