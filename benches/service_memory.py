"""The memory of `poll serve` with many long-polls and event streams open, half of them of one poll and half of all polls.

    python3 benches/service_memory.py target/debug/poll 1000

Prints one line of JSON: the connections that the service counts, its resident memory before, with them and after the outcome was
told to all, and how long that took.
"""

import json
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

done = threading.Event()


class Jobs(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b'{"status":"SUCCESS"}' if done.is_set() else b'{"status":"RUNNING"}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main(poll, number):
    jobs = ThreadingHTTPServer(("127.0.0.1", 0), Jobs)
    threading.Thread(target=jobs.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--store", f"{folder}/polls.db", "--listen", "127.0.0.1:0", "--unbounded", "--proxy", ""]
        service = subprocess.Popen([poll, "serve", *arguments], stderr=subprocess.PIPE, text=True)
        try:
            address = re.search(r"http://([0-9.:]+)", service.stderr.readline()).group(1)
            print(json.dumps(measure(service.pid, address, jobs.server_address[1], number)))
        finally:
            service.terminate()
            service.wait()


def measure(process, address, jobs, number):
    host, port = address.split(":")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def resident():
        with open(f"/proc/{process}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))

    def call(method, path, body=None):
        request = urllib.request.Request(f"http://{address}{path}", data=body, method=method)
        return opener.open(request, timeout=30).read().decode()

    def connect(path):
        connection = socket.create_connection((host, int(port)))
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n".encode())
        return connection

    spec = {"url": f"http://127.0.0.1:{jobs}/", "interval": 0.5, "timeout": 600,
            "responseFilter": {"body": {"status": ["SUCCESS"]}}}
    call("PUT", "/v1/polls/a", json.dumps(spec).encode())
    before = resident()
    waiting = [connect("/v1/polls/a/outcome?wait=60") for _ in range(number)]
    streams = [connect("/v1/events" if n % 2 else "/v1/polls/a/events") for n in range(number)]
    for stream in streams:
        assert stream.recv(12) == b"HTTP/1.1 200"
    metrics = call("GET", "/metrics")
    level = lambda name: int(re.search(rf"(?m)^{name} (\d+)", metrics).group(1))
    with_all = resident()
    began = time.monotonic()
    done.set()
    for one in waiting:
        assert one.recv(12) == b"HTTP/1.1 200"
    for stream in streams:
        text = b""
        while b"event: outcome" not in text:
            text += stream.recv(65536)
    took = time.monotonic() - began
    return {
        "waiting": level("service_waiting_requests"),
        "streams": level("service_streams"),
        "residentBeforeKiB": before,
        "residentWithAllKiB": with_all,
        "residentAfterKiB": resident(),
        "perConnectionKiB": round((with_all - before) / (2 * number), 1),
        "toldToAllInSeconds": round(took, 2),
    }


main(sys.argv[1], int(sys.argv[2]))
