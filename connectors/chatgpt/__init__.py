"""ChatGPT: conversations with their whole message trees, memories, custom GPTs, instructions and shared links."""
