"""The commands `serve`, `submit`, `processes`, `nodes`, `watch`, `stop` and `migrate`."""
