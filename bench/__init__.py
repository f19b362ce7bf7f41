"""The costs of the project, measured beside other ways to do the same."""
