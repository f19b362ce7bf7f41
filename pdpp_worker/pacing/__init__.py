"""The rate: the bucket, its rate model, and the one client through which connectors reach a provider."""
