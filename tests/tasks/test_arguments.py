"""Arguments that a person types after `celery call` are checked in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.tasks.arguments import NoArguments, RecoverArguments, RunArguments, SliceArguments, read


@pytest.mark.parametrize(
    ("model", "kwargs"),
    [
        (RunArguments, {"connection": "mine"}),
        (RunArguments, {"connection": "mine", "full": True}),
        (SliceArguments, {"run": 7}),
        (RecoverArguments, {"connection": "mine"}),
        (RecoverArguments, {"connector": "chatgpt"}),
        (RecoverArguments, {"connection": "a", "stream": "items", "reason": "rate_limited", "ids": [1, 2]}),
        (RecoverArguments, {"connector": "chatgpt", "budget": {"seconds": 60.0, "requests": 100, "items": 20}}),
        (NoArguments, {}),
    ],
)
def test_right_arguments_are_taken_as_they_are(model: Any, kwargs: dict[str, Any]) -> None:
    assert read("pdpp.task", model, kwargs).model_dump(exclude_unset=True) == kwargs


@pytest.mark.parametrize(
    ("model", "kwargs", "sentence"),
    [
        (RunArguments, {}, "connection: Field required."),
        (RunArguments, {"connection": ""}, "connection: String should have at least 1 character."),
        (RunArguments, {"connection": "x" * 201}, "connection: String should have at most 200 characters."),
        (RunArguments, {"connection": 7}, "connection: Input should be a valid string."),
        (RunArguments, {"connection": "mine", "full": "perhaps"}, "full: Input should be a valid boolean, "),
        (RunArguments, {"connection": "mine", "fast": True}, "fast: Extra inputs are not permitted."),
        (SliceArguments, {}, "run: Field required."),
        (SliceArguments, {"run": "7"}, "run: Input should be a valid integer."),
        (SliceArguments, {"run": 0}, "run: Input should be greater than 0."),
        (SliceArguments, {"run": True}, "run: Input should be a valid integer."),
        (RecoverArguments, {}, "give either connection or connector."),
        (RecoverArguments, {"connection": "a", "connector": "b"}, "give either connection or connector."),
        (RecoverArguments, {"connection": "a", "reason": "bad_luck"}, "reason: 'bad_luck' is not a reason; known: "),
        (RecoverArguments, {"connection": "a", "ids": []}, "ids: List should have at least 1 item"),
        (RecoverArguments, {"connection": "a", "ids": ["1"]}, "ids.0: Input should be a valid integer."),
        (RecoverArguments, {"connection": "a", "budget": {"item": 5}}, "budget.item: Extra inputs are not permitted."),
        (RecoverArguments, {"connection": "a", "budget": {"items": 0}}, "budget.items: Input should be greater"),
        (NoArguments, {"now": True}, "now: Extra inputs are not permitted."),
    ],
)
def test_wrong_arguments_are_named_with_their_task(model: Any, kwargs: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read("pdpp.task", model, kwargs)

    assert str(caught.value).startswith(f"pdpp.task: {sentence}")
    assert str(caught.value).endswith(".")
