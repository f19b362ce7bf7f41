"""A practice inbox of exports."""
