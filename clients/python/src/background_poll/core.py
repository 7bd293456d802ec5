"""What the synchronous and the asynchronous client share: paths, specs, when to try again, the lines of event streams.

Nothing here does I/O or waits.
"""

from __future__ import annotations

import base64
import email.utils
import json
import os
import random
import ssl
import time
from datetime import datetime, timezone
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple, TypeVar, Union
from urllib.parse import quote, urlencode, urlsplit

from .errors import PollError, ServiceError, Unreachable, refusal
from .types import Event, Matched, Outcome, RecordedResponse

#: How long one request waits for an outcome, in seconds: below the minute after which proxies cut idle connections.
WAIT = 25
#: How long the service may be silent beyond that before the connection counts as dead.
PATIENCE = 30.0
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 10.0
PAGE = 200

Headers = Mapping[str, str]


class Target:
    """Where the service is, and in which scope keys are meant."""

    def __init__(self, server: Optional[str], key: Optional[str], scope: str, retry_for: float) -> None:
        self.server = (server or os.environ.get("POLL_SERVER") or "http://127.0.0.1:7655").rstrip("/")
        self.key = key or os.environ.get("POLL_KEY")
        self.scope = scope
        self.retry_for = retry_for
        parts = urlsplit(self.server)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"the server must be an http or https URL, found {self.server!r}")
        self.https = parts.scheme == "https"
        self.host = parts.hostname
        self.port = parts.port or (443 if self.https else 80)
        self.prefix = parts.path
        self.authority = parts.netloc.rpartition("@")[2]

    def path(self, key: str, rest: str = "") -> str:
        """The path of a poll."""
        for part in (key, self.scope):
            # URLs cannot carry these two as a segment: every client resolves them away.
            if part in (".", ".."):
                raise ValueError(f"a key or scope cannot be {part!r}")
        if not key:
            raise ValueError("a key cannot be empty")
        polls = f"/v1/scopes/{quote(self.scope, safe='')}/polls" if self.scope else "/v1/polls"
        return f"{polls}/{quote(key, safe='')}{rest}"

    def listed(self, filters: Mapping[str, Union[str, datetime, None]], cursor: Optional[str]) -> str:
        """The path of a page of a list."""
        query: Dict[str, str] = {"limit": str(PAGE)}
        if self.scope:
            query["scope"] = self.scope
        for name, value in filters.items():
            if isinstance(value, datetime):
                query[name] = value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
            elif value is not None:
                query[name] = value
        if cursor:
            query["cursor"] = cursor
        return f"/v1/polls?{urlencode(query)}"

    def headers(self, body: Optional[bytes], extra: Headers) -> Dict[str, str]:
        """The headers of a request."""
        headers = {"accept": "application/json", **extra}
        if body is not None:
            headers["content-type"] = "application/json"
        if self.key:
            headers["authorization"] = f"Bearer {self.key}"
        return headers


class Tries:
    """The tries of one request: 429, 5xx and network errors are repeated for a while, any other refusal is final."""

    def __init__(self, target: Target, repeat: bool = True) -> None:
        self._target = target
        self._repeat = repeat
        self._begun = time.monotonic()
        self._count = 0

    def _pause(self, problem: PollError, wanted: Optional[float]) -> float:
        full = min(LONGEST_PAUSE, FIRST_PAUSE * 2**self._count)
        wait = wanted if wanted is not None else full / 2 + random.random() * full / 2
        self._count += 1
        if not self._repeat or time.monotonic() + wait - self._begun > self._target.retry_for:
            raise problem
        return wait

    def refused(self, status: int, headers: Headers, text: bytes) -> float:
        """How long to wait after a refusal; raises if that is the end."""
        problem = refusal(status, text, _retry_after(headers.get("retry-after")))
        if status != 429 and status < 500:
            raise problem
        return self._pause(problem, problem.retry_after)

    def lost(self, error: Exception) -> float:
        """How long to wait after an error of the network; raises if that is the end."""
        problem = Unreachable(f"cannot reach {self._target.server}: {error or type(error).__name__}")
        problem.__cause__ = error
        return self._pause(problem, None)


def _retry_after(text: Optional[str]) -> Optional[float]:
    """Seconds of a Retry-After, given as a number or as a date."""
    if text is None:
        return None
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(text) - datetime.now(timezone.utc)).total_seconds())
    except (TypeError, ValueError):
        return None


#: Members of a spec by the names of Python.
_MEMBERS = {
    "url": "url",
    "interval": "interval",
    "timeout": "timeout",
    "request_init": "requestInit",
    "response_filter": "responseFilter",
    "failure_filter": "failureFilter",
    "request_timeout": "requestTimeout",
    "retry": "retry",
    "give_up": "giveUp",
    "follow": "follow",
    "dialect": "dialect",
}


def encode_spec(spec: Optional[Mapping[str, Any]], members: Mapping[str, Any]) -> bytes:
    """The text of a spec that is given whole, by members, or both; members win."""
    whole: Dict[str, Any] = dict(spec or {})
    for name, value in members.items():
        if name not in _MEMBERS:
            raise TypeError(f"{name!r} is no member of a spec; known are {', '.join(_MEMBERS)}, and `spec` for a whole one")
        whole[_MEMBERS[name]] = value
    request = whole.get("requestInit")
    if isinstance(request, Mapping) and isinstance(request.get("body"), (bytes, bytearray)):
        whole["requestInit"] = {**request, "body": {"base64": base64.b64encode(request["body"]).decode()}}
    return json.dumps(whole, allow_nan=False).encode()


def matched(outcome: Outcome) -> Matched:
    """The match of an outcome that is one."""
    response: RecordedResponse = outcome.get("response", {})
    body: Any
    if "body" in response:
        body = response["body"]
    elif "base64" in response:
        body = base64.b64decode(response["base64"])
    else:
        body = response.get("text", "")
    return Matched(body, response.get("status", 0), response.get("headers", {}), outcome["attempts"], outcome)


class EventLines:
    """Server-Sent Events, fed with pieces of the stream."""

    def __init__(self) -> None:
        self._rest = b""
        self._name = "message"
        self._data: List[bytes] = []
        #: The id of the last event, to resume behind it.
        self.last_id = ""

    def reset(self) -> None:
        """Forgets an event that a lost connection cut."""
        self._rest, self._name, self._data = b"", "message", []

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that a piece of the stream completes."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            line = line.rstrip(b"\r")
            if not line:
                if self._data:
                    name, data = self._name, b"\n".join(self._data)
                    self._name, self._data = "message", []
                    yield Event(name, json.loads(data))
                self._name, self._data = "message", []
                continue
            field, _, content = line.partition(b":")
            content = content[1:] if content.startswith(b" ") else content
            if field == b"event":
                self._name = content.decode()
            elif field == b"id":
                self.last_id = content.decode()
            elif field == b"data":
                self._data.append(content)


def parse(text: bytes) -> Any:
    """The JSON of an answer."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise ServiceError(f"the service answered with something that is not JSON: {error}", 200, {}) from error


Answer = Tuple[int, Dict[str, str], bytes]


_Client = TypeVar("_Client", bound="Client")


class Client:
    """The service that a client calls, and the scope of its keys."""

    def __init__(
        self,
        server: Optional[str] = None,
        *,
        key: Optional[str] = None,
        scope: str = "",
        retry_for: float = 300.0,
        context: Optional[ssl.SSLContext] = None,
    ) -> None:
        self._target = Target(server, key, scope, retry_for)
        self._context = context

    @property
    def server(self) -> str:
        """Where the service is."""
        return self._target.server

    @property
    def scope(self) -> str:
        """In which scope keys are meant."""
        return self._target.scope

    def in_scope(self: _Client, scope: str) -> _Client:
        """The same service, another scope."""
        target = self._target
        return type(self)(target.server, key=target.key, scope=scope, retry_for=target.retry_for, context=self._context)
