"""A client of ``poll serve``: background polls for programs and scripts, with the standard library alone.

What always holds: the service owns the polls. Ending a wait, by an exception, a cancelled task or because the process dies,
never cancels a poll; the same key and spec again is the same poll, open or finished.
"""

from .aio import AsyncPollClient
from .client import PollClient
from .errors import (
    InvalidSpec,
    PollCancelled,
    PollConflict,
    PollEnded,
    PollError,
    PollFailed,
    PollNotFound,
    PollTimedOut,
    ServiceError,
    Unreachable,
)
from .local import LocalService
from .types import Attempt, Diagnostic, Event, Matched, Outcome, Poll, PollRow, RecordedResponse, Submitted, redact_string

__all__ = [
    "AsyncPollClient",
    "Attempt",
    "Diagnostic",
    "Event",
    "InvalidSpec",
    "LocalService",
    "Matched",
    "Outcome",
    "Poll",
    "PollCancelled",
    "PollClient",
    "PollConflict",
    "PollEnded",
    "PollError",
    "PollFailed",
    "PollNotFound",
    "PollRow",
    "PollTimedOut",
    "RecordedResponse",
    "ServiceError",
    "Submitted",
    "Unreachable",
    "redact_string",
]
