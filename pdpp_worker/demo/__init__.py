"""A demonstration: the fleet collects the accounts that connectors bring for practice."""
