"""Is anything missing? The read model that answers, stream by stream, from rows alone."""
