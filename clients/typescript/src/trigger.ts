/**
 * The part of Trigger.dev's v2 SDK that `io.backgroundPoll` lived in, on top of `poll serve`: a job that is written for it
 * runs unchanged.
 *
 * A run is a scope: the same run id resumes. Its polls are created idempotently, so a second process, or the same one after
 * a crash, joins open polls and gets the stored results of finished ones.
 */

import { type Matched, PollClient, type PollClientOptions, type WaitOptions } from "./index.js";
import type { PollSpec } from "./spec.js";

export { redactString } from "./spec.js";

/** A schema by its shape: Zod's, or anything else with `parse`. */
export interface Schema<T> {
  parse(input: unknown): T;
}

/** A trigger by a call of `invoke`. */
export interface InvokeTrigger<T> {
  readonly schema?: Schema<T>;
}

/** Lets a job run when it is invoked, with a payload that passes the schema. */
export function invokeTrigger<T = unknown>(options: { schema?: Schema<T> } = {}): InvokeTrigger<T> {
  return options;
}

/** What a job can do with the service. */
export interface IO {
  /** Polls a URL until a response matches, and returns its body; see {@link PollClient.backgroundPoll}. */
  backgroundPoll<T>(cacheKey: string | readonly (string | number | boolean)[], params: PollSpec): Promise<T>;
}

/** What a job knows of its run. */
export interface Context {
  readonly run: { readonly id: string; readonly startedAt: Date };
  readonly job: { readonly id: string; readonly version: string };
}

export interface JobOptions<T, R> {
  id: string;
  name: string;
  version: string;
  trigger: InvokeTrigger<T>;
  run: (payload: T, io: IO, ctx: Context) => Promise<R>;
}

export interface InvokeOptions extends WaitOptions {
  /** Names the run; the same id again resumes it. Default: a random one, which can never be resumed. */
  runId?: string;
}

/** A defined job. */
export class Job<T = unknown, R = unknown> {
  readonly #options: JobOptions<T, R>;
  readonly #polls: () => PollClient;

  constructor(options: JobOptions<T, R>, polls: () => PollClient) {
    this.#options = options;
    this.#polls = polls;
  }

  get id(): string {
    return this.#options.id;
  }

  /** Runs the job and returns what it returns. A payload that the schema refuses is the schema's error, before anything runs. */
  async invoke(payload: T, { runId = globalThis.crypto.randomUUID(), signal }: InvokeOptions = {}): Promise<R> {
    const { id, version, trigger, run } = this.#options;
    const parsed = trigger.schema ? trigger.schema.parse(payload) : payload;
    const polls = this.#polls().inScope(`${id}/${runId}`);
    const io: IO = {
      async backgroundPoll<Body>(cacheKey: string | readonly (string | number | boolean)[], params: PollSpec): Promise<Body> {
        const key = typeof cacheKey === "string" ? cacheKey : cacheKey.join("-");
        // What filters meant there: arrays of matchers and `[]` differ from the native dialect.
        const spec: PollSpec = { dialect: "trigger-dev", ...params };
        const done: Matched<Body> = await polls.backgroundPoll<Body>(key, spec, signal ? { signal } : {});
        return done.body;
      },
    };
    return run(parsed, io, { run: { id: runId, startedAt: new Date() }, job: { id, version } });
  }
}

/** A registry of jobs that run against one service. */
export class TriggerClient {
  readonly #jobs = new Map<string, Job<never, unknown>>();
  readonly #options: PollClientOptions;
  #polls: PollClient | undefined;

  /** The options of {@link PollClient}; its defaults are read when the first job runs. */
  constructor(options: PollClientOptions = {}) {
    this.#options = options;
  }

  /** Defines a job. An id can be defined once. */
  defineJob<T, R>(options: JobOptions<T, R>): Job<T, R> {
    if (this.#jobs.has(options.id)) throw new TypeError(`the job ${JSON.stringify(options.id)} is defined already`);
    const job = new Job(options, () => (this.#polls ??= new PollClient(this.#options)));
    this.#jobs.set(options.id, job as unknown as Job<never, unknown>);
    return job;
  }

  /** The job with this id. Its payload is checked by its schema alone: the type is not known here. */
  job(id: string): Job {
    const job = this.#jobs.get(id);
    if (job) return job as unknown as Job;
    const known = [...this.#jobs.keys()].map((each) => JSON.stringify(each)).join(", ");
    throw new TypeError(`no job ${JSON.stringify(id)} is defined${known ? `; there is ${known}` : ""}`);
  }
}

/** The client of the service that POLL_SERVER and POLL_KEY name. */
export const client = new TriggerClient();
