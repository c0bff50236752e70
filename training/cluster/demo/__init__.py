"""`make cluster-demo`: a process on four nodes of this machine, of which one is killed."""
