import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { InvalidSpec, PollCancelled, PollClient, PollConflict, PollFailed, PollNotFound, PollTimedOut, Unreachable, redactString } from "background-poll";
import { quick, startJobs, startService } from "../../../service/tests/harness.mjs";

let service;
let jobs;
const ready = new Set();

before(async () => {
  service = await startService();
  jobs = await startJobs((path, number, { request, body }) => {
    if (path.startsWith("/third")) return [200, JSON.stringify({ status: number < 3 ? "RUNNING" : "SUCCESS", number })];
    if (path.startsWith("/when-ready")) return [200, JSON.stringify({ status: ready.has(path) ? "SUCCESS" : "RUNNING" })];
    if (path === "/echo") return [200, JSON.stringify({ status: "SUCCESS", method: request.method, authorization: request.headers.authorization, body: [...body] })];
    if (path === "/failed") return [200, '{"status":"FAILED","why":"disk full"}'];
    if (path === "/text") return [200, "ready: yes", { "content-type": "text/plain" }];
    if (path === "/bytes") return [200, Buffer.from([0xff, 0x00, 0xfe]), { "content-type": "application/octet-stream" }];
    if (path === "/exact") return [200, '{"status":"SUCCESS","id":12345678901234567890}'];
    return [200, '{"status":"RUNNING"}'];
  });
});
after(async () => {
  jobs.stop();
  await service.remove();
});

const client = (options = {}) => new PollClient({ server: service.server, retryFor: 2000, ...options });

test("a poll matches, and the same key and spec again is answered without a request", async () => {
  const spec = quick(`${jobs.url}/third`);
  const done = await client().backgroundPoll("third", spec);
  assert.deepEqual(done.body, { status: "SUCCESS", number: 3 });
  assert.equal(done.status, 200);
  assert.equal(done.headers["content-type"], "application/json");
  assert.equal(done.attempts, 3);
  assert.equal(done.outcome.history.length, 3);
  assert.deepEqual((await client().backgroundPoll("third", spec)).body, done.body);
  assert.equal(jobs.count("/third"), 3);
});

test("a failed poll is an error with the outcome", async () => {
  const failing = client().backgroundPoll("failed", quick(`${jobs.url}/failed`, { failureFilter: { body: { status: ["FAILED"] } } }));
  const error = await failing.then(() => assert.fail("it matched"), (error) => error);
  assert.ok(error instanceof PollFailed, String(error));
  assert.equal(error.outcome.reason, "failure-filter");
  assert.deepEqual(error.outcome.response.body, { status: "FAILED", why: "disk full" });
  assert.match(error.message, /^the poll "failed" failed: /);
});

test("a poll that times out, and one that is cancelled, are errors of their own", async () => {
  await assert.rejects(client().backgroundPoll("late", quick(`${jobs.url}/never`, { timeout: 0.2 })), PollTimedOut);
  // Awaited only after the call to cancel, but handled from now on: the answer to the wait may come first.
  const cancelled = assert.rejects(client().backgroundPoll("cancelled", quick(`${jobs.url}/never-2`)), PollCancelled);
  await jobs.asked("/never-2", 1);
  const outcome = await client().cancel("cancelled");
  assert.equal(outcome.outcome, "cancelled");
  await cancelled;
});

test("another spec under the same key is a conflict that names what differs", async () => {
  await client().submit("conflict", quick(`${jobs.url}/never`));
  const error = await client().submit("conflict", quick(`${jobs.url}/never`, { timeout: 61 })).then(() => assert.fail(), (error) => error);
  assert.ok(error instanceof PollConflict, String(error));
  assert.ok(error.fields.some((field) => field.includes("timeout")), JSON.stringify(error.fields));
});

test("an invalid spec has diagnostics with their places", async () => {
  const error = await client().submit("invalid", { url: "htp://x", intervl: 10 }).then(() => assert.fail(), (error) => error);
  assert.ok(error instanceof InvalidSpec, String(error));
  assert.deepEqual(error.diagnostics.map(({ pointer }) => pointer).sort(), ["/intervl", "/url"]);
  assert.match(error.message, /did you mean "interval"\?/);
});

test("ending the wait does not end the poll", async () => {
  const spec = quick(`${jobs.url}/when-ready`);
  const stop = new AbortController();
  const waiting = client().backgroundPoll("left", spec, { signal: stop.signal });
  await jobs.asked("/when-ready", 1);
  stop.abort();
  await assert.rejects(waiting, { name: "AbortError" });
  assert.equal((await client().get("left")).state, "open");
  ready.add("/when-ready");
  assert.equal((await client().backgroundPoll("left", spec)).body.status, "SUCCESS");
});

test("text, bytes and exact numbers come back as they are", async () => {
  const any = (path) => ({ url: jobs.url + path, interval: 0.05, timeout: 60 });
  assert.equal((await client().backgroundPoll("text", any("/text"))).body, "ready: yes");
  assert.deepEqual([...(await client().backgroundPoll("bytes", any("/bytes"))).body], [0xff, 0x00, 0xfe]);
  await client().backgroundPoll("exact", any("/exact"));
  assert.equal(await (await client().result("exact")).text(), '{"status":"SUCCESS","id":12345678901234567890}');
});

test("bytes are sent, and secrets are never shown", async () => {
  const spec = quick(`${jobs.url}/echo`, { requestInit: { method: "POST", body: new Uint8Array([1, 2, 255]).buffer } });
  assert.deepEqual((await client().backgroundPoll("echo", spec)).body, { status: "SUCCESS", method: "POST", body: [1, 2, 255] });
  const secret = quick(`${jobs.url}/echo`, { requestInit: { headers: { authorization: redactString`Bearer ${"very-secret-token"}` } } });
  try {
    await client().backgroundPoll("secret", secret);
  } catch (error) {
    // A store without a seal key refuses inline secrets, and says so without repeating them.
    assert.ok(error instanceof InvalidSpec, String(error));
    assert.match(error.message, /seal/);
    assert.ok(!error.message.includes("very-secret-token"));
  }
  const shown = JSON.stringify(await client().get("secret").catch(() => ({})));
  assert.ok(!shown.includes("very-secret-token"));
});

test("the list is read page by page", async () => {
  const many = client({ scope: "many/of them" });
  for (let number = 0; number < 12; number += 1) await many.submit(`poll-${number}`, quick(`${jobs.url}/never`));
  const keys = [];
  for await (const row of many.list({ prefix: "poll-1" })) keys.push(row.key);
  assert.deepEqual(keys.sort(), ["poll-1", "poll-10", "poll-11"]);
  const [first] = await Array.fromAsync?.(many.list()) ?? [await many.list().next().then(({ value }) => value)];
  assert.equal(first.scope, "many/of them");
  assert.equal(first.state, "open");
});

test("events come in order and end with the outcome", async () => {
  await client().submit("events", quick(`${jobs.url}/third-events`));
  const types = [];
  const numbers = [];
  for await (const event of client().events("events")) {
    types.push(event.type);
    if (event.type === "attempted") numbers.push(event.number);
  }
  assert.deepEqual(numbers, [1, 2, 3]);
  assert.equal(types.at(-1), "outcome");
});

test("a poll that ended can be run again, and forgotten", async () => {
  await client().backgroundPoll("again", quick(`${jobs.url}/third-again`));
  await client().again("again");
  assert.equal((await client().outcome("again")).outcome, "matched");
  assert.equal(jobs.count("/third-again"), 4);
  await client().forget("again");
  await assert.rejects(client().get("again"), PollNotFound);
});

test("hostile keys and scopes reach the service as they are", async () => {
  for (const [scope, key] of [["", "a/b?c#d%2F"], ["..%2f", "<script>"], ["s p", "\u202Eabc"], ["é", "😀"]]) {
    const one = client({ scope });
    const { submitted } = await one.submit(key, quick(`${jobs.url}/never`));
    assert.equal(submitted, "created");
    const poll = await one.get(key);
    assert.deepEqual([poll.scope, poll.key], [scope, key]);
  }
  for (const key of ["", ".", ".."]) await assert.rejects(client().submit(key, quick(`${jobs.url}/never`)), TypeError);
});

test("a service that restarts is waited for, and one that is not there is named", async () => {
  const own = await startService();
  const polls = new PollClient({ server: own.server });
  const waiting = polls.backgroundPoll("restart", quick(`${jobs.url}/when-ready-restart`));
  await jobs.asked("/when-ready-restart", 1);
  await own.stop("SIGKILL");
  ready.add("/when-ready-restart");
  const next = await startService({ folder: own.folder, listen: own.server.slice("http://".length) });
  assert.equal((await waiting).body.status, "SUCCESS");
  await next.remove();
  const nobody = new PollClient({ server: own.server, retryFor: 0 });
  const error = await nobody.get("restart").then(() => assert.fail(), (error) => error);
  assert.ok(error instanceof Unreachable);
  assert.ok(error.message.startsWith(`cannot reach ${own.server}: `), error.message);
  // Each runtime has its own words.
  assert.match(error.message, /ECONNREFUSED|refused|[Uu]nable to connect/);
});
