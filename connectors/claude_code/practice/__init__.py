"""Sample logs to practise on."""
