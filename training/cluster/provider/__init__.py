"""The Service Provider: services, their processes, and who gets which nodes."""
