"""The end of a call of slackdump, and the reason that it gives to parts that are missing."""

from __future__ import annotations

from dataclasses import dataclass

from pdpp_worker.connector import Reason

BUSY = "a slackdump that was started before still writes to the archive"

_MEANING = {
    1: (Reason.SOURCE_PARTITION_FAILED, "failed"),
    2: (Reason.EXPORT_NOT_WIRED, "did not take its command line; it may be of another version"),
    3: (Reason.EXPORT_NOT_WIRED, "did not take its command line; it may be of another version"),
    4: (Reason.CREDENTIALS_EXPIRED, "could not sign in; renew the token and cookie, or its own login"),
    5: (Reason.NETWORK_ERROR, "could not begin: no answer to its sign-in, or the archive is of another workspace"),
    6: (Reason.SOURCE_PARTITION_FAILED, "gave up on a part after many tries"),
    7: (
        Reason.CREDENTIALS_EXPIRED,
        "has no login for the workspace; set token and cookie, or: slackdump workspace new",
    ),
    8: (Reason.SOURCE_PARTITION_FAILED, "could not use its cache"),
    9: (Reason.EXPORT_NOT_WIRED, "did not take its command line; it may be of another version"),
    10: (Reason.SOURCE_PARTITION_FAILED, "was cancelled"),
}


@dataclass(frozen=True)
class Exit:
    """The end of a call of slackdump."""

    code: int | None
    """None: it could not be started."""
    stalled: bool = False
    busy: bool = False
    """It was not started: an earlier one still writes."""
    failed_part: str | None = None
    """The channel or thread that its last error names."""
    signed_out: bool = False

    @property
    def is_clean(self) -> bool:
        """Whether it says that it came to its end."""
        return self.code == 0 and not self.stalled

    @property
    def reason(self) -> Reason:
        """The reason for parts that are missing after it."""
        if self.stalled:
            return Reason.TIMED_OUT
        if self.busy:
            return Reason.SOURCE_PARTITION_FAILED
        if self.signed_out:
            return Reason.CREDENTIALS_EXPIRED
        return self._meaning[0]

    def __str__(self) -> str:
        if self.stalled:
            return "slackdump was ended: its archive did not grow for too long"
        if self.busy:
            return BUSY
        if self.code is None:
            return "slackdump cannot be started; check the setting `slackdump`"
        return f"slackdump ended with exit code {self.code}: it {self._meaning[1]}"

    @property
    def _meaning(self) -> tuple[Reason, str]:
        default = (Reason.SOURCE_PARTITION_FAILED, "died")
        return _MEANING.get(self.code, default) if self.code is not None else (Reason.EXPORT_NOT_WIRED, "")
