// What a poll asks for. The service checks it and reports every mistake with its place; these types catch most of them earlier.

/** A secret by reference, resolved by the service at every sending where the key's entry allows it. */
export interface SecretReference {
  $secret: `env:${string}` | `file:${string}`;
  prefix?: string;
  suffix?: string;
}

/** A text with secret parts, as Trigger.dev's `redactString` makes it: never shown, sealed in the store. */
export interface RedactedString {
  __redactedString: true;
  strings: string[];
  interpolations: string[];
}

/** A filter of a body or of headers: fields with matchers; see docs/filter-language.md. */
export type EventFilter = { [field: string]: unknown };

export interface ResponseFilter {
  /** Statuses and patterns such as `"2xx"`, `"500-599"`, `"all"`. Default: any 2xx. */
  status?: (string | number)[];
  headers?: EventFilter;
  /** The same as `headers`, as Trigger.dev called it. */
  header?: EventFilter;
  body?: EventFilter | unknown[];
  /** Conditions on the body as text. */
  text?: unknown;
  /** How many matching responses in a row are needed. Default: 1. */
  consecutive?: number;
}

export interface RetryOptions {
  limit?: number;
  factor?: number;
  minTimeoutInMs?: number;
  maxTimeoutInMs?: number;
  randomize?: boolean;
}

export type RetryStrategy =
  | ({ strategy: "backoff"; bodyFilter?: EventFilter } & RetryOptions)
  | {
      strategy: "headers";
      limitHeader?: string;
      remainingHeader?: string;
      resetHeader?: string;
      resetFormat?: string;
      bodyFilter?: EventFilter;
    };

export interface RequestInit {
  method?: string;
  headers?: Record<string, string | SecretReference | RedactedString>;
  query?: Record<string, string | SecretReference | RedactedString>;
  /** Bytes are sent to the service as base64. */
  body?: string | ArrayBuffer | Uint8Array | SecretReference | RedactedString | { base64: string };
  cookies?: boolean;
  [member: string]: unknown;
}

/** The spec of a poll; docs/spec.md has every member. */
export interface PollSpec {
  url: string;
  /** Seconds from one request to the next (10 to 300), or growing gaps. Default: 10. */
  interval?: number | { from: number; to: number; factor?: number };
  /** Seconds until the poll times out (30 to 3600). Default: 600. */
  timeout?: number;
  requestInit?: RequestInit;
  /** The response that means done. Default: any 2xx but 202. */
  responseFilter?: ResponseFilter;
  /** The response that means failed; looked for first. */
  failureFilter?: ResponseFilter;
  requestTimeout?: { durationInMs: number; retry?: RetryOptions };
  retry?: Record<string, RetryStrategy>;
  giveUp?: { after: number } | false;
  follow?: "auto" | { header: string; origins?: string[] } | { body: string; origins?: string[] };
  dialect?: "native" | "trigger-dev" | "event-bridge";
  /** What a later version of the service knows. */
  [member: string]: unknown;
}

/** A template for texts with secret parts: ``redactString`Bearer ${token}` ``. */
export function redactString(strings: TemplateStringsArray, ...interpolations: string[]): RedactedString {
  return { __redactedString: true, strings: [...strings], interpolations };
}

function base64(bytes: Uint8Array): string {
  let text = "";
  // In pieces, because the arguments of a call are limited.
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

/** The spec as the text that the service reads. */
export function encodeSpec(spec: PollSpec): string {
  const body = spec.requestInit?.body;
  const bytes = body instanceof ArrayBuffer ? new Uint8Array(body) : body instanceof Uint8Array ? body : undefined;
  if (!bytes) return JSON.stringify(spec);
  return JSON.stringify({ ...spec, requestInit: { ...spec.requestInit, body: { base64: base64(bytes) } } });
}
