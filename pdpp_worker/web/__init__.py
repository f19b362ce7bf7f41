"""The console: pages that show what the commands say, the same as JSON, and forms for what an owner may change."""
