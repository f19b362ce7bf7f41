"""The stream `files`: what messages name, in each of the forms in which they name it."""

from __future__ import annotations

from typing import Any

from .conftest import TREES, Holder
from .test_lying_provider import account, detail, item


def rows(role: str = "user", **body: Any) -> dict[str, dict[str, Any]]:
    found = detail("a", nodes=1)
    found["mapping"]["a-0"]["message"] = {"author": {"role": role}, "create_time": 1_700_000_000, **body}
    holder = Holder(account([item("a")], {"a": found}))
    holder.run([*TREES, "files"])
    return {key[2]: row for key, row in holder.held("files").items()}


def parts(*given: Any) -> dict[str, Any]:
    return {"content_type": "multimodal_text", "parts": list(given)}


def test_an_upload_tells_its_name_type_and_size() -> None:
    attachment = {"id": "file_1", "name": "sketch.pdf", "mime_type": "application/pdf", "size": 5, "tokens": 3}

    (row,) = rows(metadata={"attachments": [attachment]}).values()

    assert (row["name"], row["mime_type"], row["size_bytes"], row["origin"]) == (
        "sketch.pdf",
        "application/pdf",
        5,
        "uploaded",
    )
    assert (row["message_id"], row["conversation_id"], row["extra"]) == ("a-0", "a", {"tokens": 3})


def test_a_file_that_is_attached_and_shown_is_one() -> None:
    attachment = {"id": "file-1", "name": "cat.png", "mime_type": "image/png", "size": 7}
    shown = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-1", "width": 3, "height": 4}

    (row,) = rows(content=parts(shown, "words"), metadata={"attachments": [attachment]}).values()

    assert (row["name"], row["size_bytes"], row["width"], row["height"]) == ("cat.png", 7, 3, 4)


def test_a_generated_picture_tells_its_prompt() -> None:
    made = {"asset_pointer": "sediment://file_9", "metadata": {"dalle": {"prompt": "a red fox", "seed": 1}}}

    (row,) = rows("tool", content=parts(made)).values()

    assert (row["id"], row["prompt"], row["origin"]) == ("file_9", "a red fox", "generated")
    assert row["extra"]["metadata"]["dalle"]["seed"] == 1


def test_a_plot_of_a_program_and_a_recording_are_files() -> None:
    plot = {"messages": [{"message_type": "image", "image_url": "file-service://file-PLOT"}, {"image_url": "data:x"}]}
    recording = {
        "content_type": "real_time_user_audio",
        "audio_asset_pointer": {"asset_pointer": "sediment://file_8#x"},
    }

    found = rows("tool", content=parts(recording), metadata={"aggregate_result": plot})

    assert found.keys() == {"file-PLOT", "file_8"}


def test_a_pointer_without_a_usable_id_is_a_file_all_the_same() -> None:
    assert len(rows(content=parts({"asset_pointer": "odd pointer"}))) == 1


def test_files_that_are_asked_for_later_are_read_from_the_beginning() -> None:
    found = detail("a", nodes=1)
    found["mapping"]["a-0"]["message"]["metadata"] = {"attachments": [{"id": "file_1"}]}
    holder = Holder(account([item("a")], {"a": found}))
    holder.run(TREES)

    holder.run([*TREES, "files"])

    assert holder.held("files").keys() == {("a", "a-0", "file_1")}
    assert not [one for one in holder.run([*TREES, "files"]) if getattr(one, "stream", None) == "files"]
