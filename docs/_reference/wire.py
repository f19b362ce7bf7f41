"""The pages for programs of any language: the lines that go and come, and the profile's form of a manifest."""

from __future__ import annotations

import inspect
from collections.abc import Iterable

from pydantic import BaseModel

from docs._reference.markdown import code, table
from docs._reference.profile import json_type
from pdpp_worker.command.dialect import (
    coverage_form,
    done_form,
    gap_forms,
    inventory_form,
    outgoing,
    owner_forms,
    record_forms,
    skip_form,
)
from pdpp_worker.command.dialect.words import BY_HINT, BY_WORD, OF_GAPS
from pdpp_worker.protocol.profile import form

INCOMING: dict[str, tuple[type[BaseModel], ...]] = {
    "RECORD": (record_forms.RecordForm,),
    "STATE": (record_forms.StateForm,),
    "SKIP_RESULT": (skip_form.SkipForm, skip_form.Hint, skip_form.Continuation),
    "DETAIL_GAP": (gap_forms.GapForm,),
    "DETAIL_GAP_ATTEMPTED": (gap_forms.AttemptedForm,),
    "DETAIL_GAP_RECOVERED": (gap_forms.RecoveredForm,),
    "DETAIL_GAPS_PAGE_REQUEST": (gap_forms.PageForm,),
    "DETAIL_COVERAGE": (coverage_form.CoverageForm,),
    "INVENTORY": (inventory_form.InventoryForm, inventory_form.MemberForm),
    "PROGRESS": (owner_forms.ProgressForm,),
    "INTERACTION": (owner_forms.InteractionForm,),
    "ASSISTANCE": (owner_forms.AssistanceForm,),
    "ASSISTANCE_STATUS": (owner_forms.AssistanceStatusForm,),
    "DONE": (done_form.DoneForm,),
}
"""Message type to the models that read it."""

OUTGOING: tuple[type[BaseModel], ...] = (
    outgoing.StartLine,
    outgoing.StreamAsked,
    outgoing.GapEntry,
    outgoing.PageResponse,
    outgoing.AnswerLine,
)

MANIFEST: tuple[type[BaseModel], ...] = (
    form.ManifestForm,
    form.RequirementsForm,
    form.LocalPathsForm,
    form.ToolForm,
    form.SetupForm,
    form.CaptureForm,
    form.FieldForm,
    form.UploadForm,
    form.CapabilitiesForm,
    form.AuthForm,
    form.RefreshForm,
    form.StreamForm,
    form.SelectionForm,
    form.AvailabilityForm,
)


def wire_page() -> str:
    """Every line of a program, in both directions, and how its own words are understood."""
    text = "# Lines\n\nOne JSON object a line. Unknown members are ignored; a null stands for a member left out.\n"
    text += "\n## To the program\n" + "".join(_form(one) for one in OUTGOING)
    text += "\n## From the program\n" + "".join(_form(one) for forms in INCOMING.values() for one in forms)
    return text + "\n## Words\n" + _words()


def profile_manifest_page() -> str:
    """Every member of the profile's manifest that means something here, and what it comes to."""
    text = "# A manifest of the profile\n\nA manifest with a `connector_id`. Unknown members are ignored.\n"
    return text + "".join(_form(one) for one in MANIFEST)


def _form(model: type[BaseModel]) -> str:
    schema = model.model_json_schema(by_alias=True)["properties"]
    rows = [
        (
            code(field.alias or name),
            json_type(schema[field.alias or name]),
            "required" if field.is_required() else "",
            field.description or "",
        )
        for name, field in model.__pydantic_fields__.items()
    ]
    about = " ".join((inspect.getdoc(model) or "").split())
    return f"\n### {model.__name__.removesuffix('Form')}\n\n{about}\n\n" + table(("member", "type", "", ""), rows)


def _words() -> str:
    rows: Iterable[tuple[str, str, str]] = [
        *(("hint", code(hint), code(reason.value)) for hint, reason in BY_HINT.items()),
        *(("reason of a gap", code(word), code(reason.value)) for word, reason in OF_GAPS.items()),
        *(("a word in a reason", ", ".join(sorted(words)), code(reason.value)) for words, reason in BY_WORD),
    ]
    about = "\nA reason of our own list stands for itself. Of others, the hint counts first, then these words.\n\n"
    return about + table(("where", "what is said", "reason"), rows)
