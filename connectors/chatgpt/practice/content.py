"""Content of messages: one builder for each content type of the platform, and texts that break careless readers."""

from __future__ import annotations

import random
from typing import Any

from pdpp_worker.conformance.seeding import drawn_uuid

Content = dict[str, Any]

WORDS = """
the a to of and in for with on is it that this we you can not from by as at how why when what which
plan table query index garden recipe train letter budget travel python column window market river
painting engine winter lesson draft chapter invoice backup museum bicycle harbour sugar theorem
violin coffee mountain contract
""".split()  # noqa: SIM905 - seventy words in seventy lines would hide the rest

AWKWARD_TEXTS = {
    "nul": "before\x00after",
    "controls": "bell \x07 escape \x1b[31m delete \x7f next-line \x85",
    "lone_surrogate": "half a pair \ud83d and the other half \ude00",
    "emoji": "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f3f3\ufe0f\u200d\U0001f308 e\u0301 \u202eleft\u202c",
    "line_separator": "one\u2028two\u2029three",
}

LANGUAGES = ("python", "sql", "bash", "unknown")


def sentence(rng: random.Random, low: int = 4, high: int = 24) -> str:
    """Between `low` and `high` words."""
    return " ".join(rng.choices(WORDS, k=rng.randint(low, high))).capitalize() + "."


def paragraphs(rng: random.Random) -> str:
    """One to four paragraphs."""
    return "\n\n".join(sentence(rng, 8, 60) for _ in range(rng.randint(1, 4)))


def text(*parts: str) -> Content:
    """Plain text."""
    return {"content_type": "text", "parts": list(parts)}


def image_part(rng: random.Random) -> Content:
    """A picture inside a multimodal message."""
    return {
        "content_type": "image_asset_pointer",
        "asset_pointer": f"file-service://file-{drawn_uuid(rng).replace('-', '')[:24]}",
        "size_bytes": rng.randint(10_000, 4_000_000),
        "width": 1024,
        "height": rng.choice((768, 1024, 1536)),
        "metadata": None,
    }


def multimodal_text(rng: random.Random) -> Content:
    """A picture and, mostly, some words about it."""
    words = sentence(rng) if rng.random() < 0.8 else ""
    return {"content_type": "multimodal_text", "parts": [image_part(rng), words]}


def voice(rng: random.Random) -> Content:
    """A spoken message: a transcript as an object with text."""
    part = {"content_type": "audio_transcription", "text": sentence(rng), "direction": "in"}
    return {"content_type": "multimodal_text", "parts": [part]}


def code(rng: random.Random) -> Content:
    """A program that the model writes for a tool."""
    source = f"for word in {rng.sample(WORDS, 3)!r}:\n    print(word)"
    return {
        "content_type": "code",
        "language": rng.choice(LANGUAGES),
        "response_format_name": None,
        "text": source,
    }


def execution_output(rng: random.Random) -> Content:
    """The output of a program."""
    return {"content_type": "execution_output", "text": "\n".join(rng.sample(WORDS, 3))}


def thoughts(rng: random.Random) -> Content:
    """The model's reasoning."""
    steps = [{"summary": sentence(rng, 2, 5), "content": sentence(rng)} for _ in range(rng.randint(1, 3))]
    return {"content_type": "thoughts", "thoughts": steps, "source_analysis_msg_id": drawn_uuid(rng)}


def reasoning_recap(rng: random.Random) -> Content:
    """The duration of the reasoning."""
    return {"content_type": "reasoning_recap", "content": f"Thought for {rng.randint(2, 90)} seconds"}


def tether_browsing_display(rng: random.Random) -> Content:
    """Search results."""
    return {
        "content_type": "tether_browsing_display",
        "result": sentence(rng),
        "summary": sentence(rng, 3, 8) if rng.random() < 0.5 else None,
        "assets": None,
        "tether_id": None,
    }


def tether_quote(rng: random.Random) -> Content:
    """A quoted page."""
    word = rng.choice(WORDS)
    return {
        "content_type": "tether_quote",
        "url": f"https://example.com/{word}",
        "domain": "example.com",
        "text": paragraphs(rng),
        "title": word.capitalize(),
        "tether_id": None,
    }


def model_editable_context(rng: random.Random) -> Content:
    """Notes of the model."""
    return {
        "content_type": "model_editable_context",
        "model_set_context": sentence(rng),
        "repository": None,
        "repo_summary": None,
        "structured_context": None,
    }


def user_editable_context(rng: random.Random) -> Content:
    """The custom instructions that were in force."""
    return {
        "content_type": "user_editable_context",
        "user_profile": sentence(rng),
        "user_instructions": sentence(rng),
    }


def system_error(rng: random.Random) -> Content:
    """A tool that failed."""
    return {"content_type": "system_error", "name": "tool_error", "text": sentence(rng, 3, 9)}


def unheard_of(rng: random.Random) -> Content:
    """A content type that readers do not know yet."""
    return {"content_type": "interactive_widget", "widget": {"kind": "chart", "rows": rng.sample(WORDS, 4)}}


def attachment(rng: random.Random) -> dict[str, Any]:
    """A file named in a message's metadata."""
    return {
        "id": f"file-{drawn_uuid(rng).replace('-', '')[:24]}",
        "name": f"{rng.choice(WORDS)}.{rng.choice(('pdf', 'csv', 'png'))}",
        "mime_type": "application/octet-stream",
        "size": rng.randint(100, 9_000_000),
    }


def citation(rng: random.Random) -> dict[str, Any]:
    """A source that an answer names."""
    start = rng.randint(0, 200)
    url = f"https://example.com/{rng.choice(WORDS)}"
    return {
        "start_ix": start,
        "end_ix": start + 12,
        "citation_format_type": "tether_og",
        "metadata": {"type": "webpage", "title": sentence(rng, 2, 6), "url": url, "text": "", "extra": None},
    }


def files_named(message: dict[str, Any]) -> set[str]:
    """The ids of the files that a message made here names: attached ones, and pictures in its parts."""
    attached = {one["id"] for one in message["metadata"].get("attachments", ())}
    parts = [part for part in message["content"].get("parts", ()) if isinstance(part, dict)]
    return attached | {part["asset_pointer"].rpartition("/")[2] for part in parts if "asset_pointer" in part}
