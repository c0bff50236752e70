"""Where metrics, tables, pictures and models go besides the run folder."""
