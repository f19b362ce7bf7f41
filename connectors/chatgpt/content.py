"""The text of a message, for every content type that the platform is known to send.

Nothing is cut, and what is not recognised is kept as JSON, so that no message loses its content to a new type.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pdpp_worker.connector.json_fields import array, table

_Reader = Callable[[dict[str, Any]], str]


def content_text(content: Any) -> str | None:
    """The text of a message's `content`; None when there is no content at all."""
    if content is None or isinstance(content, str):
        return content
    if not isinstance(content, dict):
        return _dump(content)
    needed, read = _READERS.get(str(content.get("content_type")), ((), _dump))
    return read(content) if any(name in content for name in needed) else _dump(content)


def raw_text(content: Any) -> str | None:
    """Content sent to a tool: the bare `text`, without a fence, or the parts."""
    body = table(content)
    return body["text"] if isinstance(body.get("text"), str) else content_text(content)


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else _dump(value)


def _part(part: Any) -> str:
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        return str(part["text"])
    if isinstance(part, dict) and isinstance(part.get("asset_pointer"), str):
        return f"[asset:{part['asset_pointer']}]"
    return _plain(part)


def _text(content: dict[str, Any]) -> str:
    if not isinstance(content.get("parts"), list):
        return _plain(content.get("parts") or content.get("text"))
    return "\n".join(_part(part) for part in content["parts"])


def _multimodal(content: dict[str, Any]) -> str:
    return "\n".join(filter(None, map(_part, array(content["parts"])))) or _text(content)


def _code(content: dict[str, Any]) -> str:
    return f"```{_plain(content.get('language'))}\n{_plain(content['text'])}\n```"


def _thoughts(content: dict[str, Any]) -> str:
    if not isinstance(content["thoughts"], list):
        return _plain(content["thoughts"])
    read = _fields("summary", "content")
    return "\n\n".join(read(part) if isinstance(part, dict) else _plain(part) for part in content["thoughts"])


def _error(content: dict[str, Any]) -> str:
    return ": ".join(filter(None, (_plain(content.get("name")), _plain(content.get("text")))))


def _fields(*names: str) -> _Reader:
    def read(content: dict[str, Any]) -> str:
        return "\n".join(filter(None, (_plain(content.get(name)) for name in names)))

    return read


def _of(*names: str) -> tuple[tuple[str, ...], _Reader]:
    return names, _fields(*names)


_READERS: dict[str, tuple[tuple[str, ...], _Reader]] = {
    "text": (("parts", "text"), _text),
    "multimodal_text": (("parts",), _multimodal),
    "code": (("text",), _code),
    "thoughts": (("thoughts",), _thoughts),
    "reasoning_recap": (("content", "text"), lambda content: _plain(content.get("content") or content.get("text"))),
    "tether_browsing_display": _of("summary", "result"),
    "tether_quote": _of("title", "url", "text"),
    "execution_output": _of("text"),
    "model_editable_context": _of("model_set_context", "repository", "repo_summary"),
    "user_editable_context": _of("user_profile", "user_instructions"),
    "system_error": (("name", "text"), _error),
}
KNOWN_TYPES = frozenset(_READERS)
"""Content types of which the text is taken; any other content is kept as JSON."""
