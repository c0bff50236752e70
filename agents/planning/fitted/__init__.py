"""Models of gains that were fitted to a scenario: features, evaluation, and the file that holds one."""
