// Checked by the compiler, never run: what must type-check, and what must not.

import { PollClient, PollFailed, redactString } from "background-poll";
import { TriggerClient, invokeTrigger } from "background-poll/trigger";
import { z } from "zod";

interface Export {
  download_url: string;
}

export async function accepted(client: PollClient): Promise<string> {
  const done = await client.backgroundPoll<Export>("export-42", {
    url: "https://api.example.com/v1/exports/42",
    interval: { from: 10, to: 60, factor: 1.5 },
    requestInit: { method: "POST", headers: { authorization: redactString`Bearer ${"token"}` }, body: new ArrayBuffer(2) },
    responseFilter: { status: ["2xx", 304], header: { "content-type": [{ $startsWith: "application/json" }] } },
    retry: { "500-599": { strategy: "backoff", limit: 5 }, "429": { strategy: "headers", resetHeader: "x-reset" } },
    giveUp: false,
  });
  for await (const row of client.list({ outcome: "timed out", since: new Date() })) row.key.toUpperCase();
  for await (const event of client.events("export-42")) {
    if (event.type === "attempted" && "status" in event.result) event.result.status.toFixed();
    if (event.type === "outcome") event.outcome.toUpperCase();
  }
  try {
    await client.outcome("export-42", { signal: AbortSignal.timeout(1000) });
  } catch (error) {
    if (error instanceof PollFailed) return error.outcome.explanation ?? "";
  }
  return done.body.download_url;
}

export const job = new TriggerClient({ server: "http://127.0.0.1:7655" }).defineJob({
  id: "typed",
  name: "Typed",
  version: "1.0.0",
  trigger: invokeTrigger({ schema: z.object({ id: z.number() }) }),
  run: async (payload, io, ctx) => {
    const id: number = payload.id;
    const body = await io.backgroundPoll<Export>(["export", id, ctx.run.id], { url: `https://api.example.com/v1/exports/${id}` });
    return body.download_url.length;
  },
});
export const length: Promise<number> = job.invoke({ id: 1 }, { runId: "run-1" });

// @ts-expect-error the payload has the type of the schema
void job.invoke({ id: "1" });
// @ts-expect-error a spec needs a URL
void new PollClient().submit("a", { interval: 10 });
// @ts-expect-error a strategy has a name that exists
void new PollClient().submit("a", { url: "https://a.example", retry: { "429": { strategy: "guess" } } });
