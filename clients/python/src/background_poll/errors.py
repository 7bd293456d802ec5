"""What can go wrong, one class for each: how a poll ended if not matched, and what the service refuses."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping, Optional, Type

from .types import Diagnostic, Outcome


class PollError(Exception):
    """The root of all errors of this package."""


class PollEnded(PollError):
    """A poll ended, and not with a match."""

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


class PollFailed(PollEnded):
    """The failure filter matched, or no request could succeed."""


class PollTimedOut(PollEnded):
    """The deadline came first."""


class PollCancelled(PollEnded):
    """The poll was cancelled."""


class ServiceError(PollError):
    """The service refused a request."""

    def __init__(self, message: str, status: int, problem: Mapping[str, Any], retry_after: Optional[float] = None) -> None:
        super().__init__(message)
        self.status = status
        #: The problem as the service described it (RFC 9457); empty if it did not.
        self.problem = problem
        #: Seconds after which the service asks to try again.
        self.retry_after = retry_after


class PollConflict(ServiceError):
    """The key names a poll with another spec."""

    @property
    def fields(self) -> List[str]:
        """JSON pointers of the members that differ."""
        return list(self.problem.get("fields", []))


class InvalidSpec(ServiceError):
    """The spec has errors."""

    @property
    def diagnostics(self) -> List[Diagnostic]:
        """All errors and warnings, in the order of the text."""
        return list(self.problem.get("diagnostics", []))


class PollNotFound(ServiceError):
    """There is no such poll, or the key may not see it."""


class Unreachable(PollError):
    """The service could not be reached for as long as the client keeps trying."""


_ENDS: Dict[str, Type[PollEnded]] = {"failed": PollFailed, "timed out": PollTimedOut, "cancelled": PollCancelled}


def error_of(outcome: Outcome) -> PollEnded:
    """The error that an outcome stands for."""
    name = f"{outcome['scope']}/{outcome['key']}" if outcome.get("scope") else outcome["key"]
    kind = outcome["outcome"]
    because = f": {outcome['explanation']}" if outcome.get("explanation") else ""
    ended = "was cancelled" if kind == "cancelled" else kind
    return _ENDS.get(kind, PollFailed)(f"the poll {name!r} {ended}{because}", outcome)


_REFUSALS: Dict[int, Type[ServiceError]] = {404: PollNotFound, 409: PollConflict, 422: InvalidSpec}


def refusal(status: int, text: bytes, retry_after: Optional[float]) -> ServiceError:
    """The error of a refusal."""
    try:
        problem = json.loads(text)
    except ValueError:
        # A proxy in between answers as it likes.
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    said = problem.get("detail") or problem.get("title")
    message = f"the service answered {status}" + (f": {said}" if said else "")
    if status == 422:
        for diagnostic in problem.get("diagnostics", []):
            message += f"\n  {diagnostic.get('pointer', '')}: {diagnostic.get('message', '')}"
            if diagnostic.get("help"):
                message += f" ({diagnostic['help']})"
    if status == 409 and problem.get("fields"):
        message += f" ({', '.join(problem['fields'])})"
    return _REFUSALS.get(status, ServiceError)(message, status, problem, retry_after)
