"""The rate: the bucket, its law, and the one client through which connectors reach a provider."""
