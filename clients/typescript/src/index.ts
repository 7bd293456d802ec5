/**
 * A client of `poll serve`.
 *
 * What always holds: the service owns the polls. Ending a wait, by an `AbortSignal` or because the process dies, never
 * cancels a poll; the same key and spec again is the same poll, open or finished.
 */

import { errorOf } from "./errors.js";
import { type HttpOptions, backoff, pause, send, serverSentEvents } from "./http.js";
import { type PollSpec, encodeSpec } from "./spec.js";
import type { ListQuery, Outcome, Poll, PollEvent, PollRow, RecordedResponse, Submitted } from "./types.js";

export * from "./errors.js";
export * from "./spec.js";
export type * from "./types.js";

export interface PollClientOptions {
  /** Where the service listens. Default: POLL_SERVER, else `http://127.0.0.1:7655`. */
  server?: string;
  /** The API key. Default: POLL_KEY. */
  key?: string;
  /** The scope in which keys are unique: one run, one tenant. Default: the empty scope. */
  scope?: string;
  /** How long 429, 5xx and network errors are retried, in milliseconds. Default: five minutes. */
  retryFor?: number;
  /** Another `fetch`. */
  fetch?: typeof globalThis.fetch;
}

export interface WaitOptions {
  /** Ends the wait; the poll goes on. */
  signal?: AbortSignal;
}

/** A poll that matched. */
export interface Matched<T> {
  /** The JSON of the response; its text, or its bytes, if it is not JSON. */
  body: T;
  status: number;
  headers: Record<string, string>;
  attempts: number;
  outcome: Outcome;
}

/** How long one request waits for an outcome, in seconds: below the minute after which proxies cut idle connections. */
const WAIT = 25;

function environment(name: string): string | undefined {
  const runtime = globalThis as { process?: { env?: Record<string, string | undefined> } };
  return runtime.process?.env?.[name] || undefined;
}

/** The body as a value: JSON, text or bytes. */
function bodyOf(response: RecordedResponse | undefined): unknown {
  if (response === undefined) return undefined;
  if ("body" in response) return response.body;
  if (response.base64 === undefined) return response.text ?? "";
  return Uint8Array.from(atob(response.base64), (character) => character.charCodeAt(0));
}

/** Polls of one service in one scope. */
export class PollClient {
  readonly server: string;
  readonly scope: string;
  readonly #http: HttpOptions;

  constructor(options: PollClientOptions = {}) {
    const server = (options.server ?? environment("POLL_SERVER") ?? "http://127.0.0.1:7655").replace(/\/+$/, "");
    if (!/^https?:\/\//.test(server)) throw new TypeError(`the server must be an http or https URL, found ${JSON.stringify(server)}`);
    this.server = server;
    this.scope = options.scope ?? "";
    this.#http = {
      server,
      key: options.key ?? environment("POLL_KEY"),
      fetch: options.fetch ?? globalThis.fetch.bind(globalThis),
      retryFor: options.retryFor ?? 300_000,
    };
  }

  /** The same service, another scope. */
  inScope(scope: string): PollClient {
    const { key, fetch, retryFor } = this.#http;
    return new PollClient({ server: this.server, scope, fetch, retryFor, ...(key ? { key } : {}) });
  }

  #path(key: string): string {
    for (const part of [key, this.scope]) {
      // URLs cannot carry these two as a segment: every client resolves them away.
      if (part === "." || part === "..") throw new TypeError(`a key or scope cannot be ${JSON.stringify(part)}`);
    }
    if (key === "") throw new TypeError("a key cannot be empty");
    const polls = this.scope ? `/v1/scopes/${encodeURIComponent(this.scope)}/polls` : "/v1/polls";
    return `${polls}/${encodeURIComponent(key)}`;
  }

  /**
   * Creates the poll, or joins the one with this key and spec, and waits until it ends. A poll that has matched before
   * is answered at once, without a request to its URL.
   *
   * @throws PollFailed, PollTimedOut, PollCancelled with the outcome; PollConflict; InvalidSpec; Unreachable; AbortError.
   */
  async backgroundPoll<T = unknown>(key: string, spec: PollSpec, { signal }: WaitOptions = {}): Promise<Matched<T>> {
    const response = await send(this.#http, "PUT", `${this.#path(key)}?wait=${WAIT}`, { body: encodeSpec(spec), signal });
    const outcome = response.status === 200 ? ((await response.json()) as Outcome) : await this.#await(response, key, signal);
    if (outcome.outcome !== "matched") throw errorOf(outcome);
    const { response: matched, attempts } = outcome;
    return { body: bodyOf(matched) as T, status: matched?.status ?? 0, headers: matched?.headers ?? {}, attempts, outcome };
  }

  /** Creates the poll, or finds the one with this key and spec, without waiting. */
  async submit(key: string, spec: PollSpec, { signal }: WaitOptions = {}): Promise<Submitted> {
    const response = await send(this.#http, "PUT", this.#path(key), { body: encodeSpec(spec), signal });
    return (await response.json()) as Submitted;
  }

  /** Waits until a poll ends. */
  async outcome(key: string, { signal }: WaitOptions = {}): Promise<Outcome> {
    return this.#await(undefined, key, signal);
  }

  async #await(pending: Response | undefined, key: string, signal: AbortSignal | undefined): Promise<Outcome> {
    await pending?.body?.cancel();
    for (;;) {
      const begun = Date.now();
      const response = await send(this.#http, "GET", `${this.#path(key)}/outcome?wait=${WAIT}`, { signal });
      if (response.status === 200) return (await response.json()) as Outcome;
      await response.body?.cancel();
      // A server that does not wait must not be asked in a tight loop.
      const passed = Date.now() - begun;
      if (passed < 1000) await pause(1000 - passed, signal);
    }
  }

  /** The matching body, verbatim, as a `Response`: numbers beyond 2^53 survive in its text. */
  async result(key: string, { signal }: WaitOptions = {}): Promise<Response> {
    return send(this.#http, "GET", `${this.#path(key)}/result`, { headers: { accept: "*/*" }, signal });
  }

  /** Everything about one poll at this moment. */
  async get(key: string, { signal }: WaitOptions = {}): Promise<Poll> {
    return (await (await send(this.#http, "GET", this.#path(key), { signal })).json()) as Poll;
  }

  /** The polls of this scope (of all scopes that the API key sees, if it is empty), newest first, page by page. */
  async *list(query: ListQuery = {}, { signal }: WaitOptions = {}): AsyncGenerator<PollRow, void, undefined> {
    const wanted = { ...(this.scope ? { scope: this.scope } : {}), ...query };
    const parameters = new URLSearchParams({ limit: "200" });
    for (const [name, value] of Object.entries(wanted)) {
      if (value !== undefined) parameters.set(name, value instanceof Date ? value.toISOString() : value);
    }
    for (;;) {
      const page = (await (await send(this.#http, "GET", `/v1/polls?${parameters}`, { signal })).json()) as { polls: PollRow[]; next: string | null };
      yield* page.polls;
      if (!page.next) return;
      parameters.set("cursor", page.next);
    }
  }

  /** Cancels a poll and returns its outcome, which is another one if that came first. */
  async cancel(key: string, { signal }: WaitOptions = {}): Promise<Outcome> {
    return (await (await send(this.#http, "POST", `${this.#path(key)}/cancel`, { signal })).json()) as Outcome;
  }

  /** Runs the spec of a finished poll anew, under the same key. */
  async again(key: string, { signal }: WaitOptions = {}): Promise<Submitted> {
    return (await (await send(this.#http, "POST", `${this.#path(key)}/again`, { signal, repeat: false })).json()) as Submitted;
  }

  /** Forgets a finished poll, so that its key is free. */
  async forget(key: string, { signal }: WaitOptions = {}): Promise<void> {
    await send(this.#http, "DELETE", this.#path(key), { signal });
  }

  /** The events of a poll, from its kept attempts to its outcome, across lost connections. */
  async *events(key: string, { signal }: WaitOptions = {}): AsyncGenerator<PollEvent, void, undefined> {
    let last = "";
    for (let failures = 0; ; failures += 1) {
      const headers = { accept: "text/event-stream", ...(last ? { "last-event-id": last } : {}) };
      const response = await send(this.#http, "GET", `${this.#path(key)}/events`, { headers, signal });
      // Nothing comes after the event that was seen last.
      if (response.status === 204) return;
      try {
        for await (const { event, id, data } of serverSentEvents(response)) {
          failures = 0;
          if (id) last = id;
          yield { type: event, ...(JSON.parse(data) as object) } as PollEvent;
          if (event === "outcome") return;
        }
      } catch (error) {
        // The stream broke; the next connection resumes behind the last event.
        if (signal?.aborted || !(error instanceof TypeError)) throw signal?.aborted ? signal.reason : error;
      }
      await pause(backoff(failures), signal);
    }
  }
}
