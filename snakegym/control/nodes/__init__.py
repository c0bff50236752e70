"""The nodes of a process: who is in the pool, what they hold, and what their Local Managers say."""
