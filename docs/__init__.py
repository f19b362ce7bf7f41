"""The pages of the documentation, and what writes some of them."""
