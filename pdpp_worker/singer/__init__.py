"""Singer taps as connectors: an adapter runs a tap and speaks the Collection Profile; the runtime does not know it."""
