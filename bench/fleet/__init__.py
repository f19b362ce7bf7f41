"""A real fleet against the practice provider over sockets, judged by what the provider wrote down."""
