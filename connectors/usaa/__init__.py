"""USAA: exports and statements, from an inbox that the owner fills or from the owner's own session at the site."""
