"""A local server that answers like the web backend of ChatGPT, for an account made from a seed.

`python -m connectors.chatgpt.practice` runs it; `process.ProviderProcess` runs it for a test or a demonstration.
Its account is the same for the same options, its quota and its failures are chosen, and it writes every request down.
"""
