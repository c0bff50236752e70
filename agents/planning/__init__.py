"""What planners share: the state of a plan, forecasts of rates, a model of gains, and search over both."""
