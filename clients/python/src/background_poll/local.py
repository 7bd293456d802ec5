"""A ``poll serve`` of one's own, for tests and scripts."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, List, Optional, Sequence, Type, Union, cast

from .client import PollClient
from .errors import PollError


class LocalService:
    """Starts ``poll serve`` on a free port of this machine, and stops it at the end of the block.

    ``store`` is a file that stays; without one, polls are kept in a temporary file. ``binary`` is the program ``poll``; ``args`` are
    further options, such as ``--unbounded``.

        with LocalService() as service:
            service.client().background_poll("export-42", url="https://api.example.com/v1/exports/42")
    """

    def __init__(self, *, store: Union[str, Path, None] = None, binary: str = "poll", args: Sequence[str] = ()) -> None:
        self._store = store
        self._binary = binary
        self._args = list(args)
        self._folder: Optional[str] = None
        self._process: Optional[subprocess.Popen[str]] = None
        self._reader: Optional[threading.Thread] = None
        #: Where it listens; empty before the start.
        self.server = ""

    def client(self, scope: str = "", *, retry_for: float = 300.0) -> PollClient:
        """A client of this service."""
        return PollClient(self.server, scope=scope, retry_for=retry_for)

    def start(self) -> LocalService:
        """Starts the service and waits until it listens."""
        store = self._store
        if store is None:
            self._folder = tempfile.mkdtemp(prefix="background-poll-")
            store = Path(self._folder) / "polls.db"
        command = [self._binary, "serve", "--store", str(store), "--listen", "127.0.0.1:0", *self._args]
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
        except OSError as error:
            self._clean()
            raise PollError(f"cannot run {self._binary!r}: {error}; install it with `cargo install --path cli`, or name it by `binary`") from error
        self._process = process
        said: List[str] = []
        errors = cast("IO[str]", process.stderr)
        for line in errors:
            said.append(line.rstrip())
            found = re.search(r" on (http://[^/ ]+)/", line)
            if found:
                self.server = found.group(1)
                # The pipe is read to the end, so that the service never waits for room in it.
                self._reader = threading.Thread(target=errors.read, daemon=True)
                self._reader.start()
                return self
        self.stop()
        raise PollError("poll serve ended: " + "; ".join(said))

    def stop(self) -> None:
        """Stops the service; open polls stay in the store."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            if self._process.stderr is not None and self._reader is not None:
                self._reader.join()
                self._process.stderr.close()
            self._process, self._reader = None, None
        self._clean()

    def _clean(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __enter__(self) -> LocalService:
        return self.start()

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.stop()
