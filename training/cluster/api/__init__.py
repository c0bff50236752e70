"""The HTTP API of a provider."""
