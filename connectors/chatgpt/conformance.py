"""The practice account of this connector: a local server that answers like the platform, for a small account."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from connectors.chatgpt.practice import extras
from connectors.chatgpt.practice.account import Account
from connectors.chatgpt.practice.conversation import PROJECTS
from connectors.chatgpt.practice.living import open_living_account
from connectors.chatgpt.practice.new_field import KINDS
from connectors.chatgpt.practice.options import Change, FaultOptions, ProviderOptions
from connectors.chatgpt.practice.process import ProviderProcess
from connectors.chatgpt.practice.rendering import gizmo_id, project_id
from connectors.chatgpt.small_rows import INSTRUCTIONS_ID
from pdpp_worker.conformance.account import Fault, PracticeAccount, RecordGroup, Request
from pdpp_worker.conformance.planting import Plant, Planted

__all__ = ["open_account", "open_living_account"]

CONVERSATIONS = 5
TOKEN = "practice-access-token"  # noqa: S105 - opens a made-up account on loopback
_STATUS = {Fault.FAILING: 503, Fault.REFUSED: 429, Fault.GONE: 404}
_DAY = Change(updates=2, new=1)


class ChatAccount(PracticeAccount):
    """A made-up account at a local server."""

    faults = frozenset({*_STATUS, Fault.SIGNED_OUT})
    can_change = True
    plants = frozenset({Plant.FIELD, Plant.TOTAL})

    def __init__(self, provider: ProviderProcess) -> None:
        self._provider = provider
        self.settings = {"base_url": provider.base_url}
        self.secrets = {"access_token": TOKEN, "device_id": "practice-device-id"}

    def expected_records(self) -> Sequence[RecordGroup]:
        """Every conversation with its messages, and the small streams."""
        seed = self._provider.options.seed
        account = self._provider.account()
        shares = extras.shared_conversations(account, 0, CONVERSATIONS)["items"]
        return [
            *_conversations(account),
            RecordGroup("projects", frozenset(project_id(seed, number) for number in range(PROJECTS))),
            RecordGroup("memories", frozenset(one["id"] for one in extras.memories(seed)["memories"])),
            RecordGroup("custom_gpts", frozenset(gizmo_id(seed, number) for number in range(extras.GIZMOS))),
            RecordGroup("custom_instructions", frozenset({INSTRUCTIONS_ID})),
            RecordGroup("shared_conversations", frozenset(one["id"] for one in shares)),
        ]

    def requests(self) -> Sequence[Request]:
        """The requests that the server wrote down."""
        return [
            Request(f"{one.method} {one.path}", frozenset(filter(None, [one.conversation_id])))
            for one in self._provider.log()
            if one.kind != "session"
        ]

    def inject(self, fault: Fault, resources: Sequence[str]) -> None:
        """Answer with the status of the fault."""
        if fault is Fault.SIGNED_OUT:
            self._provider.set_token("another-token")
        else:
            self._provider.set_faults(FaultOptions(status_by_id=dict.fromkeys(resources, _STATUS[fault])))

    def restore(self) -> None:
        """Answer as usual."""
        self._provider.set_token(TOKEN)
        self._provider.set_faults(FaultOptions())

    def plant(self, plant: Plant) -> Planted:
        """Let every item have a new field, or the lists count more conversations than they give."""
        if plant is Plant.TOTAL:
            self._provider.set_faults(FaultOptions(list_surplus=3))
            return Planted(streams=frozenset({"conversations"}))
        text = "planted in"
        self._provider.set_faults(FaultOptions(new_field=text))
        return Planted(tuple(f"{text} {kind}" for kind in KINDS))

    def change(self) -> None:
        """A day passes: two conversations go on, another begins."""
        self._provider.advance(_DAY)


def _conversations(account: Account) -> Iterator[RecordGroup]:
    for one in account.expected():
        key = one.conversation_id
        yield RecordGroup("conversations", frozenset({key}), key)
        yield RecordGroup("messages", frozenset((key, node) for node in one.message_ids), key)
        yield RecordGroup("files", frozenset((key, node, file) for node, file in one.file_ids), key)


@contextmanager
def open_account() -> Iterator[PracticeAccount]:
    """The account, while its server runs."""
    with ProviderProcess(ProviderOptions(conversations=CONVERSATIONS, token=TOKEN)) as provider:
        yield ChatAccount(provider)
