"""What a Service Provider knows, in SQL."""
