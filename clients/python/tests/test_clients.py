"""Both clients against a real ``poll serve`` on loopback. POLL_BIN names the binary."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
import unittest
from pathlib import Path
from typing import Any, Dict, List, Set

from background_poll import (
    AsyncPollClient,
    InvalidSpec,
    LocalService,
    PollCancelled,
    PollClient,
    PollConflict,
    PollError,
    PollFailed,
    PollNotFound,
    PollTimedOut,
    Unreachable,
    redact_string,
)

from .jobs import Answer, Jobs

ROOT = Path(__file__).resolve().parents[3]
BINARY = os.environ.get("POLL_BIN", str(ROOT / "target" / "debug" / "poll"))
READY: Set[str] = set()
DONE = {"body": {"status": ["SUCCESS"]}}


def answer(path: str, number: int, body: bytes) -> Answer:
    kind = "application/json"
    if path.startswith("/third"):
        return 200, json.dumps({"status": "RUNNING" if number < 3 else "SUCCESS", "number": number}).encode(), kind
    if path.startswith("/when-ready"):
        return 200, json.dumps({"status": "SUCCESS" if path in READY else "RUNNING"}).encode(), kind
    if path == "/echo":
        return 200, json.dumps({"status": "SUCCESS", "body": list(body)}).encode(), kind
    if path == "/failed":
        return 200, b'{"status":"FAILED"}', kind
    if path == "/bytes":
        return 200, b"\xff\x00\xfe", "application/octet-stream"
    if path == "/text":
        return 200, b"ready: yes", "text/plain"
    if path == "/exact":
        return 200, b'{"status":"SUCCESS","id":12345678901234567890}', kind
    if path == "/v1/exports/42":
        return 200, b'{"status":"SUCCESS","download_url":"https://files.example.com/42"}', kind
    return 200, b'{"status":"RUNNING"}', kind


class Clients(unittest.TestCase):
    service: LocalService
    jobs: Jobs

    @classmethod
    def setUpClass(cls) -> None:
        cls.service = LocalService(binary=BINARY, args=["--unbounded"]).start()
        cls.jobs = Jobs(answer)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.jobs.stop()
        cls.service.stop()

    def quick(self, path: str, **members: Any) -> Dict[str, Any]:
        return {"url": self.jobs.url + path, "interval": 0.05, "timeout": 60, "response_filter": DONE, **members}

    def test_a_poll_matches_and_is_not_asked_again(self) -> None:
        client = self.service.client()
        done = client.background_poll("third", **self.quick("/third"))
        self.assertEqual(done.body, {"status": "SUCCESS", "number": 3})
        self.assertEqual((done.status, done.attempts, done.headers["content-type"]), (200, 3, "application/json"))
        self.assertEqual(client.background_poll("third", **self.quick("/third")).body, done.body)
        self.assertEqual(self.jobs.count("/third"), 3)

    def test_each_end_has_its_error(self) -> None:
        client = self.service.client("ends")
        with self.assertRaises(PollFailed) as failed:
            client.background_poll("failed", **self.quick("/failed", failure_filter={"body": {"status": ["FAILED"]}}))
        self.assertEqual(failed.exception.outcome["reason"], "failure-filter")
        self.assertRegex(str(failed.exception), r"^the poll 'ends/failed' failed: ")
        with self.assertRaises(PollTimedOut):
            client.background_poll("late", **self.quick("/never", timeout=0.2))
        ended: List[BaseException] = []

        def wait() -> None:
            try:
                client.background_poll("cancelled", **self.quick("/never-cancelled"))
            except PollError as error:
                ended.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        self.jobs.asked("/never-cancelled")
        self.assertEqual(client.cancel("cancelled")["outcome"], "cancelled")
        thread.join(10)
        self.assertIsInstance(ended[0], PollCancelled)

    def test_refusals(self) -> None:
        client = self.service.client("refusals")
        client.submit("one", **self.quick("/never"))
        with self.assertRaises(PollConflict) as conflict:
            client.submit("one", **self.quick("/never", timeout=61))
        self.assertTrue(any("timeout" in field for field in conflict.exception.fields), conflict.exception.fields)
        with self.assertRaises(InvalidSpec) as invalid:
            client.submit("two", spec={"url": "htp://x", "intervl": 10})
        self.assertEqual(sorted(each["pointer"] for each in invalid.exception.diagnostics), ["/intervl", "/url"])
        self.assertIn('did you mean "interval"?', str(invalid.exception))
        with self.assertRaises(PollNotFound):
            client.get("three")
        for key in ("", ".", ".."):
            with self.assertRaises(ValueError):
                client.get(key)
        with self.assertRaisesRegex(TypeError, "response_filter"):
            client.submit("four", url="http://127.0.0.1", respons_filter={})
        with self.assertRaises(ValueError):
            client.submit("five", url="http://127.0.0.1", interval=float("nan"))

    def test_bodies_come_back_as_they_are(self) -> None:
        client = self.service.client("bodies")
        self.assertEqual(client.background_poll("exact", **self.quick("/exact")).body["id"], 12345678901234567890)
        self.assertEqual(client.result("exact"), b'{"status":"SUCCESS","id":12345678901234567890}')
        self.assertEqual(client.background_poll("bytes", url=self.jobs.url + "/bytes").body, b"\xff\x00\xfe")
        self.assertEqual(client.background_poll("text", url=self.jobs.url + "/text").body, "ready: yes")
        echo = client.background_poll("echo", **self.quick("/echo", request_init={"method": "POST", "body": bytes([1, 2, 255])}))
        self.assertEqual(echo.body["body"], [1, 2, 255])

    def test_list_events_again_forget(self) -> None:
        client = self.service.client("many/of them")
        for number in range(12):
            client.submit(f"poll-{number}", **self.quick("/never"))
        self.assertEqual(sorted(row["key"] for row in client.list(prefix="poll-1")), ["poll-1", "poll-10", "poll-11"])
        client.submit("events", **self.quick("/third-events"))
        events = list(client.events("events"))
        self.assertEqual([event.data["number"] for event in events if event.name == "attempted"], [1, 2, 3])
        self.assertEqual(events[-1].name, "outcome")
        client.again("events")
        self.assertEqual(client.outcome("events")["outcome"], "matched")
        self.assertEqual(self.jobs.count("/third-events"), 4)
        client.forget("events")
        with self.assertRaises(PollNotFound):
            client.get("events")

    def test_hostile_keys_reach_the_service_as_they_are(self) -> None:
        for scope, key in (("", "py/a?b#c%2F"), ("..%2f", "<script>"), ("s p", "\u202eabc"), ("é", "😀")):
            client = self.service.client(scope)
            client.submit(key, **self.quick("/never-py"))
            poll = client.get(key)
            self.assertEqual((poll["scope"], poll["key"]), (scope, key))

    def test_asyncio(self) -> None:
        async def run() -> None:
            client = AsyncPollClient(self.service.server, scope="async")
            done = await asyncio.gather(*(client.background_poll(f"third-{n}", **self.quick(f"/third-async-{n}")) for n in range(20)))
            self.assertEqual({each.body["number"] for each in done}, {3})
            self.assertEqual(len([row async for row in client.list(outcome="matched")]), 20)
            await client.submit("events", **self.quick("/third-async-events"))
            names = [event.name async for event in client.events("events")]
            self.assertEqual((names.count("attempted"), names[-1]), (3, "outcome"))
            waiting = asyncio.ensure_future(client.background_poll("left", **self.quick("/when-ready-async")))
            await asyncio.get_running_loop().run_in_executor(None, self.jobs.asked, "/when-ready-async")
            waiting.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await waiting
            self.assertEqual((await client.get("left"))["state"], "open")
            READY.add("/when-ready-async")
            self.assertEqual((await client.background_poll("left", **self.quick("/when-ready-async"))).body["status"], "SUCCESS")
            with self.assertRaises(InvalidSpec):
                await client.submit("two", url="htp://x")
            with self.assertRaises(PollFailed):
                await client.background_poll("failed", **self.quick("/failed", failure_filter={"body": {"status": ["FAILED"]}}))
            await client.forget("failed")
            with self.assertRaises(PollNotFound):
                await client.get("failed")

        asyncio.run(run())

    def test_unreachable(self) -> None:
        service = LocalService(binary=BINARY).start()
        server = service.server
        service.stop()
        with self.assertRaises(Unreachable):
            PollClient(server, retry_for=0).get("a")
        with self.assertRaises(Unreachable):
            asyncio.run(AsyncPollClient(server, retry_for=0).get("a"))
        with self.assertRaisesRegex(PollError, "cannot run 'no-such-poll'"):
            LocalService(binary="no-such-poll").start()
        with self.assertRaises(ValueError):
            PollClient("127.0.0.1:7655")

    def test_a_killed_process_goes_on(self) -> None:
        code = (
            "import sys; from background_poll import PollClient\n"
            "print(PollClient(scope='killed').background_poll('one', url=sys.argv[1], interval=0.05, timeout=60,"
            " response_filter={'body': {'status': ['SUCCESS']}}).body['status'])"
        )
        command = [sys.executable, "-c", code, self.jobs.url + "/when-ready-killed"]
        environment = {**os.environ, "POLL_SERVER": self.service.server}
        first = subprocess.Popen(command, env=environment)
        self.jobs.asked("/when-ready-killed")
        first.kill()
        first.wait()
        READY.add("/when-ready-killed")
        self.assertEqual(subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20).stdout, "SUCCESS\n")

    def test_secrets_are_not_shown(self) -> None:
        client = self.service.client("secret", retry_for=2)
        headers = {"authorization": redact_string(["Bearer ", ""], "very-secret-token")}
        try:
            client.submit("one", **self.quick("/never", request_init={"headers": headers}))
            self.assertNotIn("very-secret-token", json.dumps(client.get("one")))
        except PollError as error:
            # A store without a seal key refuses inline secrets.
            self.assertNotIn("very-secret-token", str(error))
        with self.assertRaises(ValueError):
            redact_string(["a"], "b")

    def test_the_readme(self) -> None:
        readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
        for example in re.findall(r"```python\n(.*?)```", readme, re.DOTALL):
            runnable = example.replace("https://api.example.com", self.jobs.url).replace("LocalService()", f"LocalService(binary={BINARY!r})")
            environment = {**os.environ, "POLL_SERVER": self.service.server}
            ran = subprocess.run([sys.executable, "-c", runnable], env=environment, capture_output=True, text=True, timeout=30)
            self.assertEqual((ran.returncode, ran.stdout), (0, "https://files.example.com/42\n"), ran.stderr)


if __name__ == "__main__":
    unittest.main()
