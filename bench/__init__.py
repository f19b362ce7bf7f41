"""What the project costs, measured beside other ways to do the same."""
