"""Claude Code: the transcripts, tool results, notes, skills and commands that the tool keeps on this machine."""
