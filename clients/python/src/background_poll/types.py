"""What the service answers; the names are those of docs/json.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, TypedDict


class RecordedResponse(TypedDict, total=False):
    """A response as it was recorded: ``body`` if it is JSON, else ``text``, else ``base64``."""

    status: int
    headers: Dict[str, str]
    body: Any
    text: str
    base64: str


class Attempt(TypedDict, total=False):
    """One request of a poll."""

    number: int
    at: str
    durationInMicros: int
    result: Dict[str, Any]
    verdict: str
    resent: bool
    note: Optional[str]
    next: Optional[Dict[str, Any]]


class Outcome(TypedDict, total=False):
    """How a poll ended: ``outcome`` is ``matched``, ``failed``, ``timed out`` or ``cancelled``."""

    key: str
    scope: str
    outcome: str
    reason: str
    explanation: str
    attempts: int
    restarts: int
    startedAt: str
    endedAt: str
    counts: Dict[str, int]
    response: RecordedResponse
    history: List[Attempt]


class Submitted(TypedDict):
    """How a submission was accepted: ``submitted`` is ``created``, ``open`` or ``finished``."""

    key: str
    scope: str
    submitted: str
    deadline: str


class PollRow(TypedDict, total=False):
    """A poll in a list."""

    key: str
    scope: str
    state: str
    url: Optional[str]
    origin: Optional[str]
    interval: Optional[float]
    createdAt: str
    deadline: Optional[str]
    restarts: int
    endedAt: str
    attempts: int
    next: str
    note: str
    problem: str


class Poll(TypedDict, total=False):
    """A whole poll."""

    key: str
    scope: str
    state: str
    createdAt: str
    deadline: str
    restarts: int
    spec: Dict[str, Any]
    history: List[Attempt]
    next: str
    followed: str
    outcome: Outcome


class Diagnostic(TypedDict, total=False):
    """What is wrong in a spec, and where."""

    severity: str
    code: str
    pointer: str
    line: int
    column: int
    message: str
    help: str


@dataclass(frozen=True)
class Event:
    """A step in the life of a poll; the one named ``outcome`` is the last."""

    name: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Matched:
    """A poll that matched."""

    body: Any
    """The JSON of the response; its text, or its bytes, if it is not JSON. Whole numbers are exact."""
    status: int
    headers: Mapping[str, str]
    attempts: int
    outcome: Outcome


def redact_string(strings: Sequence[str], *interpolations: str) -> Dict[str, Any]:
    """A text with secret parts, which is never shown: ``redact_string(["Bearer ", ""], token)``."""
    if len(strings) != len(interpolations) + 1:
        raise ValueError(f"{len(interpolations)} secrets stand between {len(interpolations) + 1} strings, found {len(strings)}")
    return {"__redactedString": True, "strings": list(strings), "interpolations": list(interpolations)}
