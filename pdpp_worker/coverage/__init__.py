"""Coverage: the read model that tells, stream by stream and from rows alone, whether anything is missing."""
