"""Manifests in the form of the Collection Profile: read as they are, and mapped to ours."""
