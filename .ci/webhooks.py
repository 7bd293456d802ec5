"""Holds the webhooks of `poll serve` against the library of Standard Webhooks' authors, which verifies id, time and signature.

    python .ci/webhooks.py target/debug/poll
"""

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

KEYS = ["whsec_" + base64.b64encode(os.urandom(32)).decode() for _ in range(2)]
received = Queue()


class Handler(BaseHTTPRequestHandler):
    """The job, which is done at once, and the receiver of webhooks."""

    def do_GET(self):
        self.answer(200, b'{"status": "SUCCESS", "text": "\xc3\xa9\\u0000"}')

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        received.put((dict(self.headers.items()), body))
        self.answer(204, b"")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def call(address, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address + path, data=data, method=method)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as response:
        return json.load(response)


def main(poll):
    jobs = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=jobs.serve_forever, daemon=True).start()
    origin = f"http://127.0.0.1:{jobs.server_address[1]}"
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--store", f"{folder}/polls.db", "--listen", "127.0.0.1:0", "--proxy", ""]
        for name in ("HOOK_NEW", "HOOK_OLD"):
            arguments += ["--allow-secret", f"env:{name}@{origin}"]
        variables = {**os.environ, "HOOK_NEW": KEYS[0], "HOOK_OLD": KEYS[1]}
        service = subprocess.Popen([poll, "serve", *arguments], stderr=subprocess.PIPE, text=True, env=variables)
        try:
            address = re.search(r"http://[0-9.:]+", service.stderr.readline()).group()
            for include in ("outcome", "summary"):
                secret = [{"$secret": "env:HOOK_NEW"}, {"$secret": "env:HOOK_OLD"}]
                spec = {
                    "url": origin,
                    "responseFilter": {"body": {"status": ["SUCCESS"]}},
                    "onOutcome": {"url": f"{origin}/hook", "secret": secret, "include": include},
                }
                call(address, "PUT", f"/v1/polls/{include}?wait=25", spec)
                headers, body = received.get(timeout=30)
                for key in KEYS:
                    payload = Webhook(key).verify(body, headers)
                assert payload["type"] == "poll.matched" and payload["data"]["key"] == include, payload
                assert ("response" in payload["data"]) == (include == "outcome"), payload
                for wrong in (Webhook("whsec_" + base64.b64encode(bytes(32)).decode()), Webhook(KEYS[0])):
                    try:
                        wrong.verify(body.replace(b"matched", b"failed!"), headers)
                    except WebhookVerificationError:
                        continue
                    raise AssertionError("a changed webhook was accepted")
        finally:
            service.terminate()
            service.wait()
    print("webhooks are verified by the library standardwebhooks")


main(sys.argv[1])
