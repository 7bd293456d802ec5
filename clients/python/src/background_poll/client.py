"""The synchronous client."""

from __future__ import annotations

import http.client
import time
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Iterator, Mapping, Optional, Union, cast

from . import core
from .errors import error_of
from .types import Event, Matched, Outcome, Poll, PollRow, Submitted


class PollClient(core.Client):
    """Polls of one service in one scope. It holds no connection, so threads can share it.

    ``server`` defaults to the variable POLL_SERVER, else ``http://127.0.0.1:7655``; ``key`` to POLL_KEY. ``retry_for`` says how
    many seconds 429, 5xx and network errors are retried.
    """

    @contextmanager
    def _open(self, method: str, path: str, body: Optional[bytes], headers: core.Headers) -> Iterator[http.client.HTTPResponse]:
        target = self._target
        timeout = core.WAIT + core.PATIENCE
        connection = (
            http.client.HTTPSConnection(target.host, target.port, timeout=timeout, context=self._context)
            if target.https
            else http.client.HTTPConnection(target.host, target.port, timeout=timeout)
        )
        try:
            connection.request(method, target.prefix + path, body=body, headers=target.headers(body, headers))
            yield connection.getresponse()
        finally:
            connection.close()

    def _send(self, method: str, path: str, body: Optional[bytes] = None, *, repeat: bool = True) -> core.Answer:
        tries = core.Tries(self._target, repeat)
        while True:
            try:
                with self._open(method, path, body, {}) as response:
                    text = response.read()
                    headers = {name.lower(): value for name, value in response.getheaders()}
            except (OSError, http.client.HTTPException) as error:
                time.sleep(tries.lost(error))
                continue
            if 200 <= response.status < 300:
                return response.status, headers, text
            time.sleep(tries.refused(response.status, headers, text))

    def background_poll(self, key: str, *, spec: Optional[Mapping[str, Any]] = None, **members: Any) -> Matched:
        """Creates the poll, or joins the one with this key and spec, and waits until it ends.

        Members of the spec are named as in Python (``response_filter``), or come whole as ``spec``. A poll that has matched before
        is answered at once, without a request to its URL. Raises PollFailed, PollTimedOut, PollCancelled with the outcome,
        PollConflict, InvalidSpec, Unreachable.
        """
        status, _, text = self._send("PUT", self._target.path(key, f"?wait={core.WAIT}"), core.encode_spec(spec, members))
        outcome = cast(Outcome, core.parse(text)) if status == 200 else self.outcome(key)
        if outcome["outcome"] != "matched":
            raise error_of(outcome)
        return core.matched(outcome)

    def submit(self, key: str, *, spec: Optional[Mapping[str, Any]] = None, **members: Any) -> Submitted:
        """Creates the poll, or finds the one with this key and spec, without waiting."""
        return cast(Submitted, core.parse(self._send("PUT", self._target.path(key), core.encode_spec(spec, members))[2]))

    def outcome(self, key: str) -> Outcome:
        """Waits until a poll ends."""
        while True:
            begun = time.monotonic()
            status, _, text = self._send("GET", self._target.path(key, f"/outcome?wait={core.WAIT}"))
            if status == 200:
                return cast(Outcome, core.parse(text))
            # A server that does not wait must not be asked in a tight loop.
            time.sleep(max(0.0, begun + 1 - time.monotonic()))

    def result(self, key: str) -> bytes:
        """The matching body, verbatim."""
        return self._send("GET", self._target.path(key, "/result"))[2]

    def get(self, key: str) -> Poll:
        """Everything about one poll at this moment."""
        return cast(Poll, core.parse(self._send("GET", self._target.path(key))[2]))

    def list(
        self,
        *,
        state: Optional[str] = None,
        outcome: Optional[str] = None,
        prefix: Optional[str] = None,
        origin: Optional[str] = None,
        since: Union[str, datetime, None] = None,
    ) -> Iterator[PollRow]:
        """The polls of this scope (of all scopes that the API key sees, if it is empty), newest first, page by page."""
        filters = {"state": state, "outcome": outcome, "prefix": prefix, "origin": origin, "since": since}
        cursor: Optional[str] = None
        while True:
            page = core.parse(self._send("GET", self._target.listed(filters, cursor))[2])
            yield from page["polls"]
            cursor = page["next"]
            if not cursor:
                return

    def cancel(self, key: str) -> Outcome:
        """Cancels a poll and returns its outcome, which is another one if that came first."""
        return cast(Outcome, core.parse(self._send("POST", self._target.path(key, "/cancel"))[2]))

    def again(self, key: str) -> Submitted:
        """Runs the spec of a finished poll anew, under the same key."""
        return cast(Submitted, core.parse(self._send("POST", self._target.path(key, "/again"), repeat=False)[2]))

    def forget(self, key: str) -> None:
        """Forgets a finished poll, so that its key is free."""
        self._send("DELETE", self._target.path(key))

    def events(self, key: str) -> Iterator[Event]:
        """The events of a poll, from its kept attempts to its outcome, across lost connections."""
        path = self._target.path(key, "/events")
        lines = core.EventLines()
        tries = core.Tries(self._target)
        while True:
            headers = {"accept": "text/event-stream", **({"last-event-id": lines.last_id} if lines.last_id else {})}
            try:
                with self._open("GET", path, None, headers) as response:
                    if response.status == 204:
                        return
                    if response.status != 200:
                        found = {name.lower(): value for name, value in response.getheaders()}
                        time.sleep(tries.refused(response.status, found, response.read()))
                        continue
                    lines.reset()
                    while True:
                        piece = response.read1(65536)
                        if not piece:
                            break
                        for event in lines.feed(piece):
                            tries = core.Tries(self._target)
                            yield event
                            if event.name == "outcome":
                                return
                time.sleep(core.FIRST_PAUSE)
            except (OSError, http.client.HTTPException) as error:
                time.sleep(tries.lost(error))
