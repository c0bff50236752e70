"""A service that really runs: registry, process controllers, nodes, HTTP API and page."""
