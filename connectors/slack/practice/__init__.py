"""A practice workspace behind the methods of the Web API."""
