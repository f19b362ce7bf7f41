"""The conformance kit: runs a connector against a practice account and says which rules it keeps, and which it breaks.

`pdpp-worker connector check NAME` prints the results; `plugin` offers the same checks to pytest.
"""
