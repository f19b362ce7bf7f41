"""A connector of any language: a program that reads START and writes messages as lines of JSON."""
