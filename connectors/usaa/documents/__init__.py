"""Documents taken apart: exports and statements, from wherever they came."""
