// For tests in JavaScript, of the page and of the client: a real `poll serve` on a free port, and a job server whose answers a
// test decides.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** The program `poll`; `.ci/clients` and `.ci/browser` say which. */
export const BINARY = process.env.POLL_BIN ?? new URL("../../target/debug/poll", import.meta.url).pathname;

/** Starts the service on the store in `folder`, a new one by default. */
export async function startService({ folder = mkdtempSync(join(tmpdir(), "background-poll-")), listen = "127.0.0.1:0", args = ["--unbounded"] } = {}) {
  const child = spawn(BINARY, ["serve", "--store", join(folder, "polls.db"), "--listen", listen, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  const lines = createInterface({ input: child.stderr });
  const said = [];
  const server = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`poll serve ended with ${code}: ${said.join("\n")}`)));
    lines.on("line", (line) => {
      said.push(line);
      const found = /on (http:\/\/[^/ ]+)\//.exec(line);
      if (found) resolve(found[1]);
    });
  });
  child.removeAllListeners("exit");
  return {
    server,
    folder,
    async stop(signal = "SIGTERM") {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill(signal);
        await once(child, "exit");
      }
      return child.exitCode;
    },
    async remove() {
      await this.stop("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A job server: `answer(path, number)` returns `[status, body, headers]` for the request of that number to that path. */
export async function startJobs(answer) {
  const counts = new Map();
  const waiting = [];
  const server = createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const number = (counts.get(request.url) ?? 0) + 1;
      counts.set(request.url, number);
      const [status, body, headers = { "content-type": "application/json" }] = answer(request.url, number, { request, body: Buffer.concat(chunks) });
      response.writeHead(status, headers).end(body);
      for (const one of waiting.splice(0)) one.check() ? one.resolve() : waiting.push(one);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${server.address().port}`;
  return {
    url,
    count: (path) => counts.get(path) ?? 0,
    /** Waits until a path was asked this often. */
    asked(path, times) {
      const check = () => (counts.get(path) ?? 0) >= times;
      return check() ? Promise.resolve() : new Promise((resolve) => waiting.push({ check, resolve }));
    },
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** A spec that asks quickly. */
export const quick = (url, members = {}) => ({ url, interval: 0.05, timeout: 60, responseFilter: { body: { status: ["SUCCESS"] } }, ...members });
