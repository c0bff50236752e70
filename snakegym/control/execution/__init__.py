"""Where and by which engines a job is carried out."""
