"""Who goes back for what is missing, and when."""
