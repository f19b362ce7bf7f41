"""Quotas of a provider in virtual or real time, shared by practice servers and benchmarks."""
