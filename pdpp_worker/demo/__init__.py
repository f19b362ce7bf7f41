"""A provider to practise on, and a demonstration of the fleet against it."""
