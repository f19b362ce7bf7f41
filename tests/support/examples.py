"""How many examples a stateful test tries: few in the suite, and as many as the profile says elsewhere."""

from __future__ import annotations

from hypothesis import HealthCheck, settings


def stateful(examples: int, steps: int) -> settings:
    """`examples` of so many `steps` in the profile of the suite; else those of the profile, such as `long`."""
    chosen = settings.default
    assert chosen is not None
    if not chosen.derandomize:
        examples, steps = chosen.max_examples, chosen.stateful_step_count
    return settings(chosen, max_examples=examples, stateful_step_count=steps, suppress_health_check=list(HealthCheck))


def examples(number: int) -> settings:
    """So many examples of a costly property in the profile of the suite; else as many as the profile says."""
    return stateful(number, steps=50)
