"""A job server whose answers a test decides."""

from __future__ import annotations

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Tuple

Answer = Tuple[int, bytes, str]


class Jobs:
    """``answer(path, number, body)`` answers the request of that number to that path."""

    def __init__(self, answer: Callable[[str, int, bytes], Answer]) -> None:
        counts: Counter[str] = Counter()
        changed = threading.Condition()
        self._counts, self._changed = counts, changed

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                with changed:
                    counts[self.path] += 1
                    number = counts[self.path]
                status, text, kind = answer(self.path, number, body)
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                try:
                    self.wfile.write(text)
                except OSError:
                    # The deadline of a poll cuts its request.
                    pass
                with changed:
                    changed.notify_all()

            do_POST = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def count(self, path: str) -> int:
        """How often a path was asked."""
        return self._counts[path]

    def asked(self, path: str, times: int = 1) -> None:
        """Waits until a path was asked this often."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._counts[path] >= times, 10):
                raise AssertionError(f"{path} was asked {self._counts[path]} times in 10 s, expected {times}")

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
