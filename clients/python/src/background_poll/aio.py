"""The asynchronous client, on the streams of asyncio: one connection for each request, no threads.

Its HTTP is what ``poll serve`` and the proxies before it speak: HTTP/1.1, bodies by length, in chunks, or to the end.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, AsyncIterator, Dict, Mapping, Optional, Union, cast

from . import core
from .errors import error_of
from .types import Event, Matched, Outcome, Poll, PollRow, Submitted

_LOST = (OSError, EOFError, asyncio.TimeoutError)


class _Response:
    """The head of a response, and its body in pieces."""

    def __init__(self, status: int, headers: Dict[str, str], reader: asyncio.StreamReader) -> None:
        self.status = status
        self.headers = headers
        self._reader = reader

    async def pieces(self) -> AsyncIterator[bytes]:
        reader, timeout = self._reader, core.WAIT + core.PATIENCE
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            while True:
                size = _number((await asyncio.wait_for(reader.readline(), timeout)).partition(b";")[0], 16)
                if size == 0:
                    return
                yield await asyncio.wait_for(reader.readexactly(size), timeout)
                await asyncio.wait_for(reader.readexactly(2), timeout)
        left = _number(self.headers["content-length"].encode(), 10) if "content-length" in self.headers else None
        if self.status == 204:
            left = 0
        while left is None or left > 0:
            piece = await asyncio.wait_for(reader.read(65536 if left is None else min(left, 65536)), timeout)
            if not piece:
                if left is None:
                    return
                raise EOFError("the connection ended in the middle of a body")
            left = None if left is None else left - len(piece)
            yield piece

    async def read(self) -> bytes:
        return b"".join([piece async for piece in self.pieces()])


class AsyncPollClient(core.Client):
    """As :class:`PollClient`, for asyncio. Cancelling a task that waits cancels the wait, not the poll."""

    @asynccontextmanager
    async def _open(self, method: str, path: str, body: Optional[bytes], headers: core.Headers) -> AsyncIterator[_Response]:
        target = self._target
        secure = (self._context or ssl.create_default_context()) if target.https else None
        timeout = core.WAIT + core.PATIENCE
        reader, writer = await asyncio.wait_for(asyncio.open_connection(target.host, target.port, ssl=secure), timeout)
        try:
            fields = {"host": target.authority, "connection": "close", **target.headers(body, headers)}
            if body is not None or method in ("POST", "PUT"):
                fields["content-length"] = str(len(body or b""))
            head = f"{method} {target.prefix}{path} HTTP/1.1\r\n" + "".join(f"{name}: {_clean(value)}\r\n" for name, value in fields.items())
            writer.write(head.encode("latin-1") + b"\r\n" + (body or b""))
            await asyncio.wait_for(writer.drain(), timeout)
            line = await asyncio.wait_for(reader.readline(), timeout)
            parts = line.split(None, 2)
            if len(parts) < 2 or not parts[0].startswith(b"HTTP/1."):
                raise EOFError(f"expected a response, found {line[:60]!r}")
            answered: Dict[str, str] = {}
            while True:
                line = await asyncio.wait_for(reader.readline(), timeout)
                if line in (b"\r\n", b"\n"):
                    break
                if not line:
                    raise EOFError("the connection ended in the middle of the headers")
                name, _, value = line.decode("latin-1").partition(":")
                answered[name.strip().lower()] = value.strip()
            yield _Response(_number(parts[1], 10), answered, reader)
        finally:
            writer.close()

    async def _send(self, method: str, path: str, body: Optional[bytes] = None, *, repeat: bool = True) -> core.Answer:
        tries = core.Tries(self._target, repeat)
        while True:
            try:
                async with self._open(method, path, body, {}) as response:
                    text = await response.read()
            except _LOST as error:
                await asyncio.sleep(tries.lost(error))
                continue
            if 200 <= response.status < 300:
                return response.status, response.headers, text
            await asyncio.sleep(tries.refused(response.status, response.headers, text))

    async def background_poll(self, key: str, *, spec: Optional[Mapping[str, Any]] = None, **members: Any) -> Matched:
        """As :meth:`PollClient.background_poll`."""
        status, _, text = await self._send("PUT", self._target.path(key, f"?wait={core.WAIT}"), core.encode_spec(spec, members))
        outcome = cast(Outcome, core.parse(text)) if status == 200 else await self.outcome(key)
        if outcome["outcome"] != "matched":
            raise error_of(outcome)
        return core.matched(outcome)

    async def submit(self, key: str, *, spec: Optional[Mapping[str, Any]] = None, **members: Any) -> Submitted:
        """Creates the poll, or finds the one with this key and spec, without waiting."""
        return cast(Submitted, core.parse((await self._send("PUT", self._target.path(key), core.encode_spec(spec, members)))[2]))

    async def outcome(self, key: str) -> Outcome:
        """Waits until a poll ends."""
        while True:
            begun = time.monotonic()
            status, _, text = await self._send("GET", self._target.path(key, f"/outcome?wait={core.WAIT}"))
            if status == 200:
                return cast(Outcome, core.parse(text))
            # A server that does not wait must not be asked in a tight loop.
            await asyncio.sleep(max(0.0, begun + 1 - time.monotonic()))

    async def result(self, key: str) -> bytes:
        """The matching body, verbatim."""
        return (await self._send("GET", self._target.path(key, "/result")))[2]

    async def get(self, key: str) -> Poll:
        """Everything about one poll at this moment."""
        return cast(Poll, core.parse((await self._send("GET", self._target.path(key)))[2]))

    async def list(
        self,
        *,
        state: Optional[str] = None,
        outcome: Optional[str] = None,
        prefix: Optional[str] = None,
        origin: Optional[str] = None,
        since: Union[str, datetime, None] = None,
    ) -> AsyncIterator[PollRow]:
        """The polls of this scope (of all scopes that the API key sees, if it is empty), newest first, page by page."""
        filters = {"state": state, "outcome": outcome, "prefix": prefix, "origin": origin, "since": since}
        cursor: Optional[str] = None
        while True:
            page = core.parse((await self._send("GET", self._target.listed(filters, cursor)))[2])
            for row in page["polls"]:
                yield row
            cursor = page["next"]
            if not cursor:
                return

    async def cancel(self, key: str) -> Outcome:
        """Cancels a poll and returns its outcome, which is another one if that came first."""
        return cast(Outcome, core.parse((await self._send("POST", self._target.path(key, "/cancel")))[2]))

    async def again(self, key: str) -> Submitted:
        """Runs the spec of a finished poll anew, under the same key."""
        return cast(Submitted, core.parse((await self._send("POST", self._target.path(key, "/again"), repeat=False))[2]))

    async def forget(self, key: str) -> None:
        """Forgets a finished poll, so that its key is free."""
        await self._send("DELETE", self._target.path(key))

    async def events(self, key: str) -> AsyncIterator[Event]:
        """The events of a poll, from its kept attempts to its outcome, across lost connections."""
        path = self._target.path(key, "/events")
        lines = core.EventLines()
        tries = core.Tries(self._target)
        while True:
            headers = {"accept": "text/event-stream", **({"last-event-id": lines.last_id} if lines.last_id else {})}
            wait = core.FIRST_PAUSE
            try:
                async with self._open("GET", path, None, headers) as response:
                    if response.status == 204:
                        return
                    if response.status == 200:
                        lines.reset()
                        async for piece in response.pieces():
                            for event in lines.feed(piece):
                                tries = core.Tries(self._target)
                                yield event
                                if event.name == "outcome":
                                    return
                    else:
                        wait = tries.refused(response.status, response.headers, await response.read())
            except _LOST as error:
                wait = tries.lost(error)
            await asyncio.sleep(wait)


def _number(text: bytes, base: int) -> int:
    """A number of the protocol; anything else means that the other side does not speak HTTP."""
    try:
        return int(text, base)
    except ValueError:
        raise EOFError(f"expected a number, found {text[:60]!r}") from None


def _clean(value: str) -> str:
    """A header value; one with a line break would begin another header."""
    if "\r" in value or "\n" in value or "\0" in value:
        raise ValueError("a header value cannot contain a line break")
    return value
