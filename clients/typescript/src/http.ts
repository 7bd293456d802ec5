// Requests to the service: repeated where that is safe and can help, cut short by an AbortSignal.

import { PollError, refusal, ServiceError, Unreachable } from "./errors.js";

export interface HttpOptions {
  server: string;
  key: string | undefined;
  fetch: typeof globalThis.fetch;
  retryFor: number;
}

export interface Call {
  body?: string | undefined;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** Whether the call may be sent again after an error: not where a second sending would do a second thing. */
  repeat?: boolean;
}

const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 10_000;

/** Waits, or rejects with the signal's reason. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** The pause before try `count + 1`: twice the one before, half of it random. */
export function backoff(count: number): number {
  const full = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** count);
  return full / 2 + (Math.random() * full) / 2;
}

/** Seconds of a Retry-After, given as a number or as a date. */
function retryAfter(response: Response): number | undefined {
  const text = response.headers.get("retry-after");
  if (text === null) return undefined;
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined;
}

/**
 * Sends a request. 429, 5xx and network errors are repeated with growing pauses, or after the service's Retry-After, for at
 * most `retryFor` milliseconds; any other refusal is an error at once.
 */
export async function send(http: HttpOptions, method: string, path: string, call: Call = {}): Promise<Response> {
  const begun = Date.now();
  for (let count = 0; ; count += 1) {
    let problem: PollError;
    try {
      const response = await http.fetch(http.server + path, {
        method,
        body: call.body ?? null,
        headers: {
          accept: "application/json",
          ...(call.body === undefined ? {} : { "content-type": "application/json" }),
          ...(http.key ? { authorization: `Bearer ${http.key}` } : {}),
          ...call.headers,
        },
        signal: call.signal ?? null,
        redirect: "error",
      });
      if (response.ok) return response;
      problem = refusal(response.status, await response.text(), retryAfter(response));
    } catch (error) {
      if (call.signal?.aborted) throw call.signal.reason;
      problem = new Unreachable(`cannot reach ${http.server}: ${reason(error)}`, { cause: error });
    }
    const refused = problem instanceof ServiceError ? problem : undefined;
    const passing = refused === undefined || refused.status === 429 || refused.status >= 500;
    const wait = refused?.retryAfter === undefined ? backoff(count) : refused.retryAfter * 1000;
    if (!passing || call.repeat === false || Date.now() + wait - begun > http.retryFor) throw problem;
    await pause(wait, call.signal);
  }
}

/** What a network error was: fetch says only that it failed, and the cause says why. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause as { code?: string; message?: string } | undefined;
  return cause?.code ?? cause?.message ?? error.message;
}

/** Server-Sent Events of a response. */
export async function* serverSentEvents(response: Response): AsyncGenerator<{ event: string; id: string; data: string }> {
  if (!response.body) return;
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let event = "message";
  let id = "";
  let data: string[] = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const raw of lines) {
        const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
        if (line === "") {
          if (data.length > 0) yield { event, id, data: data.join("\n") };
          [event, id, data] = ["message", "", []];
          continue;
        }
        const colon = line.indexOf(":");
        const [field, content] = colon < 0 ? [line, ""] : [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, "")];
        if (field === "event") event = content;
        else if (field === "id") id = content;
        else if (field === "data") data.push(content);
      }
    }
  } finally {
    // The consumer may leave in the middle; the connection must not stay open for it.
    await reader.cancel().catch(() => undefined);
  }
}
