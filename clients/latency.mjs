// How long a caller waits for a result: `backgroundPoll` through a `poll serve` on loopback, beside a loop of `fetch` in the caller.
// `npm run build` in clients/typescript first; then `node clients/latency.mjs`. POLL_BIN names the binary. Prints medians and
// 95th percentiles in milliseconds.

import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { PollClient } from "./typescript/dist/index.js";
import { startJobs, startService } from "../service/tests/harness.mjs";

const ROUNDS = Number(process.env.ROUNDS ?? 200);
const INTERVAL = 0.1;

// `/done/…` is done at the first request, `/job/…` a random time after it, so that neither grid is favoured.
const ends = new Map();
const jobs = await startJobs((path) => {
  if (path.startsWith("/job/") && !ends.has(path)) ends.set(path, performance.now() + 100 + Math.random() * 400);
  const done = path.startsWith("/done/") || performance.now() >= ends.get(path);
  return [200, JSON.stringify({ status: done ? "SUCCESS" : "RUNNING" })];
});
const service = await startService();
const client = new PollClient({ server: service.server });

/** The loop that a caller would write: ask, judge, sleep. */
async function fetchLoop(url) {
  for (;;) {
    const body = await (await fetch(url)).json();
    if (body.status === "SUCCESS") return body;
    await sleep(INTERVAL * 1000);
  }
}

const background = (url, key) =>
  client.backgroundPoll(key, { url, interval: INTERVAL, timeout: 60, responseFilter: { status: [200], body: { status: ["SUCCESS"] } } });

/** The times of `call`, one after the other, from its start or from the end of its job. */
async function measured(kind, path, call) {
  const times = [];
  for (let round = -10; round < ROUNDS; round++) {
    const name = `${path}/${kind}-${round}`;
    const start = performance.now();
    await call(`${jobs.url}${name}`, `${kind}${path}-${round}`);
    // The first rounds connect and compile.
    if (round >= 0) times.push(performance.now() - (ends.get(name) ?? start));
  }
  times.sort((a, b) => a - b);
  const at = (share) => times[Math.floor(share * (times.length - 1))].toFixed(1);
  return `${at(0.5)} | ${at(0.95)}`;
}

console.log(`| ${ROUNDS} calls, interval ${INTERVAL} s, ms | median | p95 |\n| --- | --- | --- |`);
for (const [kind, call] of [["fetch loop", fetchLoop], ["backgroundPoll", background]]) {
  console.log(`| ${kind}: a job that is done already, from the call to the result | ${await measured(kind.replace(" ", "-"), "/done", call)} |`);
}
for (const [kind, call] of [["fetch loop", fetchLoop], ["backgroundPoll", background]]) {
  console.log(`| ${kind}: a job that ends later, from its end to the result | ${await measured(kind.replace(" ", "-"), "/job", call)} |`);
}
jobs.stop();
await service.remove();
