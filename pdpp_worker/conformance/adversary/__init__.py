"""The adversary: a seeded liar between a connector and its own practice provider.

It lies about answers, lets the account change while it is read, kills runs and lets budgets end; then it falls silent,
and after some honest runs what is held has to equal what the provider has.
"""
