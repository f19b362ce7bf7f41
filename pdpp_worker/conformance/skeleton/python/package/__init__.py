"""A connector for pdpp-worker."""
