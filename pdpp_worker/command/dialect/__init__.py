"""The Collection Profile as connectors speak it: lenient forms come in, the runtime's own messages come out."""
