// One poll: what it waits for, its time line, its attempts, and why each did not match.
//
// The attempts are those of the API's history and of the event stream, by number. The server keeps the last response only;
// this page keeps those that it saw, to say what changed from one attempt to the next.

import * as api from "./api.js";
import { action, button, copyButton, foreign, h, nameOf, notice, put, say, visible } from "./dom.js";
import { explainText, explainTree, tally } from "./explain.js";
import { forms } from "./copy.js";
import { ago, bytes, clock, countsOf, intervalWords, isOpen, ms, now, plural, result, span, stateClass, stateSign, until, webhookState } from "./format.js";
import { laidOut } from "./json.js";
import { timeline } from "./timeline.js";
import { countFailing } from "./webhooks.js";

const SHOWN_BODY = 64 * 1024;
const SEEN = 100;
const STATUS_WORDS = { unmatched: "did not match", matched: "matched", failed: "matched the failure filter", error: "brought no response" };

/** Shows one poll in `main`; returns what leaves it. */
export function showPoll(main, query, { go, live }) {
	const key = query.get("poll");
	const scope = query.get("in") ?? "";
	const leave = new AbortController();
	const attempts = new Map();
	const responses = new Map();
	const marks = [];
	let poll;
	let selected = Number(query.get("attempt")) || undefined;
	let whole = false;
	let headersOpen = false;
	let body;

	const head = h("div", "pollhead");
	const sentence = h("p", "sentence");
	const facts = h("dl", "facts");
	const line = timeline(pick);
	const zoom = button("", "quiet", () => ((whole = !whole), draw()), { hidden: true });
	const table = h("div", { class: "attempts", role: "listbox", tabindex: "0", "aria-label": "Attempts, newest first" });
	const detail = h("section", { class: "detail", "aria-label": "The chosen attempt" });
	const spec = h("section", "spec");
	put(main, h("p", "dim", "Loading…"));

	function layOut() {
		put(main, head, sentence, facts,
			h("section", { class: "card", "aria-label": "Time line" }, h("div", "cardtop", h("h2", {}, "Time line"), legend(), zoom), line.element),
			h("div", "split", h("section", "card", h("div", "cardtop", h("h2", {}, "Attempts")), table), detail),
			spec);
	}

	async function read() {
		try {
			const before = poll;
			poll = await api.poll(scope, key, leave.signal);
			if (before && poll.restarts > before.restarts) marks.push({ at: now(), text: `restarted, noticed at ${clock(now())}` });
			for (const attempt of poll.outcome?.history ?? poll.history ?? []) attempts.set(attempt.number, attempt);
			keepResponse();
			if (!before) {
				layOut();
				drawSpec();
				setTimeout(showChosen, 300);
			}
			draw();
			if (!isOpen(poll.state)) loadBody();
			if (poll.webhook?.state === "pending") readSoon(3000);
		} catch (error) {
			if (leave.signal.aborted) return;
			if (error.status === 404) put(main, h("div", "empty", h("p", {}, "There is no poll ", foreign(key), scope ? [" in the scope ", foreign(scope)] : "", "."), h("a", { class: "button", href: "/" }, "All polls")));
			else notice(error.message);
		}
	}

	/** Keeps the last response under the number of its attempt. */
	function keepResponse() {
		// An attempt without a response leaves the one before in place.
		const number = poll.last?.attempt ?? (poll.last && list().findLast(({ result: { status } }) => status === poll.last.status)?.number);
		if (!number) return;
		responses.set(number, poll.last);
		if (responses.size > SEEN) responses.delete(responses.keys().next().value);
	}

	/** The body of a matched poll, verbatim; that of another outcome comes with it. */
	async function loadBody() {
		const response = poll.outcome?.response;
		if (body !== undefined || !response) return;
		if (poll.state === "matched") {
			try {
				body = await api.resultText(scope, key, SHOWN_BODY, leave.signal);
			} catch (error) {
				body = { text: error.message, more: false, type: "" };
			}
		} else {
			const text = response.body !== undefined ? JSON.stringify(response.body) : (response.text ?? (response.base64 ? `${response.base64.slice(0, 2000)} (base64)` : ""));
			body = { text: text.slice(0, SHOWN_BODY), more: text.length > SHOWN_BODY, type: response.headers?.["content-type"] ?? "" };
		}
		if (!leave.signal.aborted) drawDetail();
	}

	const list = () => [...attempts.values()].sort((one, other) => one.number - other.number);

	let asked = false;
	function draw() {
		if (asked || !poll) return;
		asked = true;
		// Of a poll that asks many times a second, not each attempt is drawn: the table has a row for all that are known.
		setTimeout(() => {
			asked = false;
			if (leave.signal.aborted) return;
			drawHead();
			drawFacts();
			drawAttempts();
			drawDetail();
		}, attempts.size < 50 ? 16 : 250);
	}

	function drawHead() {
		const open = isOpen(poll.state);
		view.title = document.title = `${stateSign(poll.state)} ${visible(key).slice(0, 60)}`;
		const actions = [
			open && action("Cancel", "danger", "Cancelled", () => call(api.cancel)),
			!open && action("Run again", "primary", "Runs again", () => call(api.again, () => go(location.search, { replace: true }))),
			!open && action("Forget", "", "Forgotten", () => call(api.forget, () => go("/"))),
			poll.state === "matched" && action("Save body", "", "Saved", save),
		];
		if (head.dataset.for === poll.state) return;
		head.dataset.for = poll.state;
		put(head,
			h("div", "title",
				h("span", `badge ${stateClass(poll.state)}`, h("span", { "aria-hidden": "true" }, stateSign(poll.state)), ` ${poll.state}`),
				h("h1", {}, nameOf({ scope, key }))),
			h("div", "buttons", actions,
				h("details", "menu", h("summary", "button", "Copy as"),
					h("div", "items", forms({ scope, key, spec: poll.spec }).map(([label, text]) => copyButton(label, text))))));
	}

	async function call(what, then = read) {
		await what(scope, key);
		if (!leave.signal.aborted) await then();
	}

	async function save() {
		const blob = await api.resultBlob(scope, key);
		const url = URL.createObjectURL(new Blob([blob], { type: "application/octet-stream" }));
		h("a", { href: url, download: `${key.replace(/[^\w.-]+/g, "_").slice(0, 80) || "result"}.json` }).click();
		setTimeout(() => URL.revokeObjectURL(url), 60000);
	}

	/** One sentence that says how things stand. */
	function drawSentence() {
		const last = list().at(-1);
		if (poll.outcome) {
			const { outcome } = poll;
			const how = poll.state[0].toUpperCase() + poll.state.slice(1);
			return put(sentence, h("strong", {}, `${how} after ${span(ms(outcome.endedAt) - ms(outcome.startedAt))}`), `, ${ago(outcome.endedAt)}, with ${plural(outcome.attempts, "attempt")}.`, outcome.explanation && [" ", foreign(outcome.explanation.split("\n")[0], 300)]);
		}
		const next = poll.inFlight ? "It is asking now" : poll.next ? (until(poll.next) === "now" ? "It asks now" : `It asks ${until(poll.next)}`) : "It waits for its first request";
		return put(sentence, h("strong", {}, next), poll.heldUntil && ms(poll.heldUntil) > now() ? `, held back until ${clock(poll.heldUntil)}` : "", ", and ends ", until(poll.deadline), " at the latest.", last?.note && [" Last: ", foreign(last.note, 240)]);
	}

	function drawFacts() {
		drawSentence();
		const counts = poll.outcome?.counts ?? countsOf(list());
		const made = poll.outcome?.attempts ?? list().at(-1)?.number ?? 0;
		const kept = attempts.size;
		const rows = [
			["URL", foreign(`${poll.spec?.requestInit?.method && poll.spec.requestInit.method !== "GET" ? `${poll.spec.requestInit.method} ` : ""}${poll.spec?.url ?? "–"}`, 400, { class: "mono" })],
			poll.followed && ["Follows", foreign(poll.followed, 400, { class: "mono" })],
			["Started", clock(poll.createdAt)],
			["Deadline", clock(poll.deadline)],
			["Interval", intervalWords(poll.spec?.interval)],
			["Attempts", `${made}${kept < made ? `, the last ${kept} are kept` : ""}`],
			["Results", Object.entries(counts).map(([what, count]) => h("span", "count", `${count} × `, foreign(what, 40)))],
			poll.webhook && ["Webhook", webhookFact(poll.webhook)],
			poll.restarts > 0 && ["Restarts", String(poll.restarts)],
		].filter(Boolean);
		put(facts, rows.map(([name, value]) => h("div", { class: name === "URL" || name === "Follows" ? "whole" : "" }, h("dt", {}, name), h("dd", {}, value))));
		zoom.hidden = !poll.outcome || ms(poll.deadline) <= ms(poll.outcome.endedAt);
		zoom.textContent = whole ? "Show until the outcome" : "Show until the deadline";
		line.draw({ poll, attempts: list(), selected: chosen()?.number, marks, whole });
	}

	function webhookFact(webhook) {
		const { receiver, due, attempts } = webhook;
		const { error } = attempts.at(-1) ?? {};
		return [h("span", error ? "bad" : "", `${webhookState(webhook)}: `), foreign(receiver, 200), error && [", ", foreign(error, 200)], due && `, next ${clock(due)}`, " ",
			action("Send again", "", "Sent again", () => call(api.resend))];
	}

	/** The attempt that is shown: the one picked, else the last. Of a poll that asks faster than its responses are read, the last one read. */
	function chosen() {
		if (attempts.has(selected)) return attempts.get(selected);
		const last = list().at(-1);
		if (!last || poll.outcome || last.result.status === undefined || responses.has(last.number)) return last;
		return list().findLast(({ number, result }) => responses.has(number) && result.status === last.result.status) ?? last;
	}

	function drawAttempts() {
		const all = list().reverse();
		const now = chosen()?.number;
		put(table, all.length === 0 ? h("p", "dim pad", "No request yet.") : all.map((attempt) => {
			const [text, kind] = result(attempt);
			return h("div", { class: `attempt ${kind}`, role: "option", id: `attempt-${attempt.number}`, "aria-selected": String(attempt.number === now), onclick: () => pick(attempt.number) },
				h("span", "n", `#${attempt.number}`), h("span", `code ${kind}`, foreign(text, 30)), h("span", "at", clock(attempt.at)),
				h("span", "took", span(attempt.durationInMicros / 1000)), foreign(attempt.note ?? "", 160, { class: "note" }));
		}));
		if (now) table.setAttribute("aria-activedescendant", `attempt-${now}`);
	}

	function pick(number) {
		selected = number === list().at(-1)?.number ? undefined : number;
		const url = new URLSearchParams(location.search);
		if (selected) url.set("attempt", String(selected));
		else url.delete("attempt");
		history.replaceState(null, "", `/?${url}`);
		draw();
	}

	table.addEventListener("keydown", (event) => {
		if (event.key === "ArrowDown") step(-1);
		else if (event.key === "ArrowUp") step(1);
		else return;
		event.preventDefault();
		event.stopPropagation();
	});

	function step(by) {
		const all = list();
		const index = all.findIndex((attempt) => attempt.number === chosen()?.number) + by;
		if (!all[index]) return;
		pick(all[index].number);
		setTimeout(showChosen, 300);
	}

	/** Scrolls the table, not the page. */
	function showChosen() {
		const row = table.querySelector('[aria-selected="true"]');
		if (!row) return;
		const top = row.offsetTop - table.offsetTop;
		if (top < table.scrollTop || top + row.offsetHeight > table.scrollTop + table.clientHeight) table.scrollTop = top - table.clientHeight / 2;
	}

	function drawDetail() {
		const attempt = chosen();
		if (!attempt) return put(detail);
		const all = list();
		const [text, kind] = result(attempt);
		const isLast = attempt.number === all.at(-1).number || !attempts.has(selected);
		const seen = responses.get(attempt.number);
		const before = responses.get(attempt.number - 1);
		const decided = isLast && poll.outcome;
		const previous = attempts.get(attempt.number - 1);
		// What is shown stays while nothing of it has changed: a reader may have scrolled or selected in it.
		const signature = JSON.stringify([attempt.number, isLast, Boolean(seen), Boolean(before), Boolean(body), poll.state]);
		if (detail.dataset.for === signature) return undefined;
		detail.dataset.for = signature;
		const why = attempt.next?.why;
		const [held, of] = tally(seen?.explanation);
		return put(detail,
			h("div", "cardtop", h("h2", {}, `Attempt ${attempt.number}`), h("span", `code ${kind}`, foreign(text, 40)), h("span", "dim", `${clock(attempt.at, true)}, took ${span(attempt.durationInMicros / 1000)}${attempt.resent ? ", sent twice" : ""}`)),
			h("p", "verdict", h("strong", {}, `It ${STATUS_WORDS[attempt.verdict] ?? attempt.verdict}`), of > 0 ? `: ${held} of ${plural(of, "condition")} ${held === 1 ? "holds" : "hold"}` : "", ".",
				why && h("span", "dim", ` Next: ${clock(attempt.next.at)}, ${why === "grid" ? "on the grid" : why === "hint" ? "because the server asked to wait" : `as try ${why.retry?.try} of ${why.retry?.limit}`}.`)),
			attempt.note && !seen?.explanation && !decided?.explanation && h("div", "notebox", foreign(attempt.note, 2000)),
			previous && !before && change(previous, attempt),
			decided?.explanation ? explainText(decided.explanation) : seen?.explanation?.length && explainTree(seen.explanation, before?.explanation),
			bodyOf(attempt, isLast, seen, before),
			(seen?.headers ?? decided?.response?.headers) && headersOf(seen?.headers ?? decided.response.headers));
	}

	/** What is known to have changed where the responses themselves were not seen. */
	function change(previous, attempt) {
		const [was] = result(previous);
		const [is] = result(attempt);
		if (was !== is) return h("p", "changes", "Before: ", foreign(was, 40), previous.note && previous.note !== attempt.note && [", ", foreign(previous.note, 300)]);
		if (previous.note !== attempt.note) return h("p", "changes", "Before: ", foreign(previous.note ?? "no note", 300));
		return h("p", "changes dim", "As the attempt before.");
	}

	function bodyOf(attempt, isLast, seen, before) {
		const box = (text, cut, ...about) => h("div", "bodybox", h("h3", {}, "Body ", h("span", "dim", about)), h("pre", { class: "body", tabindex: "0" }, visible(laidOut(text))), !cut && playLink(text));
		if (isLast && body) return box(body.text, body.more, foreign(body.type, 80), body.more && `, the first ${bytes(SHOWN_BODY)}`);
		const cut = seen?.bytes > seen?.excerpt.length;
		if (seen) return box(seen.excerpt, cut, bytes(seen.bytes), cut && ", its beginning", before && (before.excerpt === seen.excerpt ? ", unchanged" : ", changed"));
		return isLast ? null : h("p", "dim small", "The server keeps the response of the last attempt only; this page keeps those that arrive while it is open.");
	}

	function playLink(text) {
		const filter = poll.spec?.responseFilter?.body;
		if (!text || filter === undefined) return null;
		return h("a", { href: "/?view=playground", class: "button quiet", onclick: () =>
			sessionStorage.setItem("poll-play", JSON.stringify({ filter: JSON.stringify(filter, null, 2), event: laidOut(text), dialect: poll.spec.dialect ?? "native" })) }, "Try the filter on it");
	}

	function headersOf(headers) {
		return h("details", { class: "headers", open: headersOpen, ontoggle: (event) => (headersOpen = event.target.open) }, h("summary", {}, plural(Object.keys(headers).length, "header")), h("dl", {}, Object.entries(headers).map(([name, value]) => h("div", {}, h("dt", {}, foreign(name, 80)), h("dd", {}, foreign(value, 500))))));
	}

	function drawSpec() {
		put(spec, h("details", "card", h("summary", {}, h("h2", {}, "Spec")), h("pre", "body", visible(JSON.stringify(poll.spec, null, 2) ?? "It cannot be read."))));
	}

	let rereading;
	function event(name, data) {
		if (!poll) return;
		api.apply(poll, name, data);
		if (name === "attempted") {
			attempts.set(data.number, data);
			say(`Attempt ${data.number}: ${result(data)[0]}`);
		} else if (name === "held") {
			poll.heldUntil = data.by === "neighbour" ? data.until : undefined;
		}
		draw();
		// The last response and the outcome come with the whole poll. Attempts in quick succession share one read.
		if (name === "attempted" || name === "outcome") {
			if (name === "outcome") readSoon(0);
			else if (!rereading) readSoon(200);
		}
	}

	function readSoon(milliseconds) {
		clearTimeout(rereading);
		rereading = setTimeout(() => ((rereading = undefined), read()), milliseconds);
	}

	const watch = async () => {
		await read();
		if (!poll || !isOpen(poll.state)) return live(true);
		return api.follow(`${api.pollPath(scope, key)}/events`, { event, live, resync: read, until: (name) => name === "outcome" }, leave.signal);
	};
	watch().catch((error) => notice(error.message));

	let ticks = 0;
	const timer = setInterval(() => {
		if (!poll) return;
		if (ticks++ % 20 === 0) countFailing(leave.signal).catch(() => {});
		line.tick();
		drawSentence();
	}, 500);

	const view = {
		title: visible(key).slice(0, 60),
		key(event) {
			if (event.key === "ArrowLeft" || event.key === "ArrowRight") return step(event.key === "ArrowLeft" ? -1 : 1), true;
			return false;
		},
		leave() {
			leave.abort();
			clearInterval(timer);
			clearTimeout(rereading);
			line.stop();
		},
	};
	return view;
}

function legend() {
	const entry = (kind, text) => h("span", "entry", h("span", `swatch ${kind}`), text);
	return h("span", { class: "legend", "aria-hidden": "true" }, entry("unmatched", "not yet"), entry("refused", "4xx, 5xx"), entry("error", "no response"), entry("matched", "matched"), entry("failed", "failed"), entry("hinted", "wait asked for"));
}
