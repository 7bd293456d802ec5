// Run by trigger.test.mjs: a job that waits, in a process that is killed.

import { TriggerClient, invokeTrigger } from "background-poll/trigger";

const job = new TriggerClient().defineJob({
  id: "killed", name: "Killed", version: "1", trigger: invokeTrigger(),
  run: async ({ url }, io) => (await io.backgroundPoll("poll", { url, interval: 0.05, timeout: 60, responseFilter: { body: { status: ["SUCCESS"] } } })).foo,
});
console.log(await job.invoke({ url: process.argv[2] }, { runId: "run-1" }));
