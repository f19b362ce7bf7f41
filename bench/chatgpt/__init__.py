"""A very large conversation through a worker process."""
