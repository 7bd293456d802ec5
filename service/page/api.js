// The public API and its event stream; the page uses nothing else. The stream is read by fetch, because EventSource
// cannot send the Authorization header.

import { learnClock } from "./format.js";

const KEY = "poll-api-key";

/** A refusal of the API: a problem of RFC 9457, or what took its place. */
export class Problem extends Error {
	constructor(status, body) {
		super(body.detail ?? body.title ?? `the server answered ${status}`);
		this.status = status;
		this.type = body.type ?? "";
		this.diagnostics = body.diagnostics ?? [];
		this.fields = body.fields ?? [];
	}
}

let askForKey = async () => undefined;

export function onKeyNeeded(ask) {
	askForKey = ask;
}

export const hasKey = () => sessionStorage.getItem(KEY) !== null;

export function setKey(key) {
	if (key) sessionStorage.setItem(KEY, key);
	else sessionStorage.removeItem(KEY);
}

async function send(method, path, { body, headers, signal } = {}) {
	for (;;) {
		const key = sessionStorage.getItem(KEY);
		const response = await fetch(path, {
			method,
			body,
			signal,
			cache: "no-store",
			headers: { ...(key ? { authorization: `Bearer ${key}` } : {}), ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
		});
		const date = response.headers.get("date");
		if (date) learnClock(date);
		if (response.ok) return response;
		if (response.status === 401) {
			const given = await askForKey(key !== null);
			if (given) {
				setKey(given);
				continue;
			}
		}
		// A proxy in between may answer with something else.
		throw new Problem(response.status, await response.json().catch(() => ({})));
	}
}

async function json(method, path, options) {
	const response = await send(method, path, options);
	return response.status === 204 ? undefined : response.json();
}

const part = encodeURIComponent;

export const pollPath = (scope, key) => (scope ? `/v1/scopes/${part(scope)}/polls/${part(key)}` : `/v1/polls/${part(key)}`);

const get = (path) => (query, signal) => json("GET", `${path}?${new URLSearchParams(query)}`, { signal });
export const list = get("/v1/polls");
export const webhooks = get("/v1/webhooks");
export const poll = (scope, key, signal) => json("GET", pollPath(scope, key), { signal });
export const create = (scope, key, spec) => json("PUT", pollPath(scope, key), { body: spec });
export const cancel = (scope, key) => json("POST", `${pollPath(scope, key)}/cancel`);
export const again = (scope, key) => json("POST", `${pollPath(scope, key)}/again`);
export const resend = (scope, key) => json("POST", `${pollPath(scope, key)}/webhook`);
export const forget = (scope, key) => json("DELETE", pollPath(scope, key));
export const check = (kind, dialect, text, signal) => json("POST", `/v1/check?${new URLSearchParams({ kind, dialect })}`, { body: text, signal });
export const convert = (filterText, from, signal) => json("POST", "/v1/convert", { body: `{"filter":${filterText},"from":${JSON.stringify(from)},"to":"native"}`, signal });

/** Explains an event. Both are texts, so that numbers reach the server as they were written. */
export const explain = (filterText, dialect, eventText, signal) =>
	json("POST", "/v1/explain", { body: `{"filter":${filterText},"dialect":${JSON.stringify(dialect)},"event":${eventText}}`, signal });

/** The first `most` bytes of the body of a matched poll as text, its type, and whether there is more. */
export async function resultText(scope, key, most, signal) {
	const response = await send("GET", `${pollPath(scope, key)}/result`, { signal });
	const reader = response.body.getReader();
	const decoder = new TextDecoder();
	let text = "";
	let size = 0;
	while (size <= most) {
		const { done, value } = await reader.read();
		if (done) break;
		text += decoder.decode(value.subarray(0, most - size), { stream: true });
		size += value.length;
	}
	reader.cancel();
	return { text, more: size > most, type: response.headers.get("content-type") ?? "" };
}

export async function resultBlob(scope, key) {
	return (await send("GET", `${pollPath(scope, key)}/result`)).blob();
}

/**
 * Follows an event stream until `signal` aborts, across lost connections.
 * `on.event(name, data)` for each event, `on.live(bool)` when the connection is made or lost, `on.resync()` when events
 * were missed, so that the caller must read again. `on.end()`: the server has nothing more to say.
 */
export async function follow(path, on, signal) {
	let last = "";
	let failures = 0;
	let first = true;
	while (!signal.aborted) {
		try {
			const response = await send("GET", path, { headers: { accept: "text/event-stream", ...(last ? { "last-event-id": last } : {}) }, signal });
			if (response.status === 204) return;
			failures = 0;
			on.live(true);
			// Without an id to resume from, whatever happened in between is unknown.
			if (!first && !last) on.resync();
			first = false;
			for await (const event of events(response.body)) {
				if (event.id) last = event.id;
				if (event.name === "lagged") on.resync();
				else on.event(event.name, event.data);
				if (on.until?.(event.name)) return;
			}
		} catch (error) {
			if (signal.aborted) return;
			if (error instanceof Problem && error.status < 500 && error.status !== 429) {
				on.live(false);
				throw error;
			}
		}
		if (signal.aborted) return;
		on.live(false);
		failures += 1;
		await pause(Math.min(15000, 500 * 2 ** failures) * (0.75 + Math.random() / 2), signal);
	}
}

/** Applies to a poll what an event says of its requests. */
export function apply(poll, name, data) {
	if (name === "requesting") poll.inFlight = data;
	else if (name === "attempted" || name === "outcome") poll.inFlight = undefined;
	poll.next = { attempted: data.next?.at, retry: data.at, held: data.until }[name];
}

const pause = (milliseconds, signal) =>
	new Promise((resolve) => {
		const timer = setTimeout(resolve, milliseconds);
		signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
	});

async function* events(body) {
	let rest = "";
	const reader = body.pipeThrough(new TextDecoderStream()).getReader();
	for (;;) {
		const { done, value } = await reader.read();
		if (done) return;
		const blocks = (rest + value).split("\n\n");
		rest = blocks.pop();
		for (const block of blocks) {
			// This service writes one line of data for each event, and comments without any.
			const { event, id, data } = Object.fromEntries(block.split("\n").map((line) => /^(\w*):? ?(.*)/.exec(line).slice(1)));
			if (data) yield { name: event, id, data: JSON.parse(data) };
		}
	}
}
