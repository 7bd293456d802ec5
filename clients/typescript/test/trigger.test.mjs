import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { PollClient } from "background-poll";
import { client, TriggerClient, invokeTrigger } from "background-poll/trigger";
import { startJobs, startService } from "../../../service/tests/harness.mjs";

let service;
let jobs;
let finished = false;

before(async () => {
  service = await startService();
  process.env.POLL_SERVER = service.server;
  jobs = await startJobs((path) => {
    if (path === "/done") return [200, '{"status":"SUCCESS","foo":"bar"}'];
    return [200, JSON.stringify({ status: finished ? "SUCCESS" : "RUNNING", foo: "later" })];
  });
  await import("./build/block.js");
});
after(async () => {
  jobs.stop();
  await service.remove();
});

test("the block runs, and the same run id again makes no request", async () => {
  const job = client.job("background-poll-job");
  const url = `${jobs.url}/done`;
  await job.invoke({ url }, { runId: "run-1" });
  assert.equal(jobs.count("/done"), 1);
  const stored = await new PollClient({ scope: "background-poll-job/run-1" }).get("poll");
  assert.equal(stored.state, "matched");
  assert.deepEqual(stored.outcome.response.body, { status: "SUCCESS", foo: "bar" });
  assert.equal(stored.spec.interval, 10);
  assert.equal(stored.spec.timeout, 300);
  await job.invoke({ url }, { runId: "run-1" });
  assert.equal(jobs.count("/done"), 1, "the stored result");
  await job.invoke({ url }, { runId: "run-2" });
  assert.equal(jobs.count("/done"), 2, "another run");
});

test("a payload that the schema refuses runs nothing", async () => {
  await assert.rejects(client.job("background-poll-job").invoke({ url: "no URL" }), { name: "ZodError" });
  assert.throws(() => client.job("other"), /no job "other" is defined; there is "background-poll-job"/);
});

test("the result has the body, and a job is defined once", async () => {
  const own = new TriggerClient({ server: service.server });
  const options = {
    id: "typed", name: "Typed", version: "1", trigger: invokeTrigger(),
    run: async (payload, io, ctx) => [await io.backgroundPoll(["a", 1], { url: payload.url }), ctx.run.id, ctx.job.id],
  };
  const job = own.defineJob(options);
  assert.deepEqual(await job.invoke({ url: `${jobs.url}/done` }, { runId: "r" }), [{ status: "SUCCESS", foo: "bar" }, "r", "typed"]);
  assert.throws(() => own.defineJob(options), /defined already/);
});

test("a process that is killed in the middle goes on with the same run id", async () => {
  const run = () => spawn(process.execPath, [new URL("./killed.mjs", import.meta.url).pathname, `${jobs.url}/later`], { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, POLL_SERVER: service.server } });
  const first = run();
  await jobs.asked("/later", 1);
  first.kill("SIGKILL");
  await once(first, "exit");
  const before = await new PollClient({ scope: "killed/run-1" }).get("poll");
  assert.equal(before.state, "open");
  finished = true;
  const second = run();
  let printed = "";
  second.stdout.on("data", (chunk) => (printed += chunk));
  const [code] = await once(second, "close");
  assert.equal(code, 0);
  assert.equal(printed, "later\n");
  const end = await new PollClient({ scope: "killed/run-1" }).get("poll");
  assert.equal(end.createdAt, before.createdAt, "the same poll");
});

test("the block of the guide is this block", () => {
  const guide = readFileSync(new URL("../../../docs/migrating-from-trigger-dev.md", import.meta.url), "utf8");
  const block = readFileSync(new URL("./block.ts", import.meta.url), "utf8");
  assert.ok(guide.includes(`\`\`\`ts\n${block}\`\`\``), "docs/migrating-from-trigger-dev.md shows another block than test/block.ts");
});
