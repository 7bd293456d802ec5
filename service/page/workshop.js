// Writing: a new poll from a spec, and the playground for filters. Both check while one types and hold what is written
// against an event.

import * as api from "./api.js";
import { button, foreign, h, notice, put, say, visible } from "./dom.js";
import { editor } from "./editor.js";
import { explainTree, tally } from "./explain.js";
import { clock, intervalWords, now, plural, span } from "./format.js";

const SPEC = `{
	"url": "https://api.example.com/v1/exports/42",
	"interval": 10,
	"timeout": 300,
	"responseFilter": {
		"status": [200],
		"body": {"status": ["SUCCESS"]}
	},
	"failureFilter": {"body": {"status": ["FAILED", "CANCELLED"]}}
}`;
const FILTER = `{
	"status": ["SUCCESS"],
	"progress": [{"$gte": 100}]
}`;
const EVENT = `{
	"status": "RUNNING",
	"progress": 40
}`;
const DIALECTS = ["native", "trigger-dev", "event-bridge"];

const store = {
	read(name) {
		try {
			return JSON.parse(sessionStorage.getItem(name)) ?? {};
		} catch {
			return {};
		}
	},
	write: (name, value) => sessionStorage.setItem(name, JSON.stringify(value)),
};

/** Runs the newest of a series of requests; earlier ones are aborted, and their answers ignored. */
function newest(outer) {
	let current;
	return async (run) => {
		current?.abort();
		current = new AbortController();
		const { signal } = current;
		outer.addEventListener("abort", () => current.abort(), { once: true });
		try {
			await run(signal);
		} catch (error) {
			if (!signal.aborted) notice(error.message);
		}
	};
}

/** Shows the view for a new poll, or the playground; returns what leaves it. */
export function showWorkshop(main, query, { go, name }) {
	const leave = new AbortController();
	(name === "new" ? newPoll : playground)(main, go, leave.signal);
	return { leave: () => leave.abort() };
}

function newPoll(main, go, leaving) {
	const kept = store.read("poll-new");
	const checking = newest(leaving);
	const explaining = newest(leaving);
	const scope = h("input", { name: "scope", value: kept.scope ?? "", placeholder: "default", autocomplete: "off", spellcheck: "false" });
	const key = h("input", { name: "key", value: kept.key ?? "", placeholder: "export-42", autocomplete: "off", spellcheck: "false" });
	const create = h("button", { class: "primary", type: "submit" }, "Create poll");
	const preview = h("div", { class: "preview", role: "status" });
	const verdict = h("div", "result");
	let checked;

	const write = () => store.write("poll-new", { scope: scope.value, key: key.value, spec: spec.text, event: event.text });
	const spec = editor({ name: "spec", label: "Spec", text: kept.spec ?? SPEC, rows: 16, onchange: check });
	const event = editor({ name: "event", label: "A response body", text: kept.event ?? EVENT, rows: 8, onchange: tryOut });
	const form = h("form", { class: "card", onsubmit: submit },
		h("div", "cardtop", h("h1", {}, "New poll")),
		h("div", "fields", h("label", {}, "Key", key), h("label", {}, "Scope", scope)),
		h("h2", "small", "Spec"), spec.element, preview,
		h("div", "buttons", create));
	const side = h("section", { class: "card", "aria-label": "Try the filters" },
		h("div", "cardtop", h("h2", {}, "Try it on a response body")), event.element, verdict);
	put(main, h("div", "workshop", form, side));

	async function check(text) {
		write();
		await checking(async (signal) => {
			try {
				const answer = await api.check("spec", "native", text, signal);
				checked = answer.value;
				spec.show(answer.diagnostics ?? [], text);
				const name = checked?.cacheKey;
				if (name && !key.value) key.placeholder = visible(name);
				put(preview, h("span", "good", "✓ valid"), ` · asks ${intervalWords(checked?.interval)} for at most ${span((checked?.timeout ?? 600) * 1000)}, until ${clock(now() + (checked?.timeout ?? 600) * 1000)} if it began now`);
			} catch (error) {
				checked = undefined;
				put(preview, h("span", "bad", `✗ ${plural(spec.refused(error, text), "error")}`));
			}
		});
		tryOut();
	}

	async function tryOut() {
		write();
		await explaining(async (signal) => {
			if (!checked) return put(verdict, h("p", "dim", "The spec has errors."));
			let written;
			try {
				written = JSON.parse(spec.text);
			} catch {
				return put(verdict);
			}
			const shown = [];
			for (const [member, title] of [["failureFilter", "Failure filter"], ["responseFilter", "Response filter"]]) {
				if (written[member]?.body === undefined) continue;
				const answer = await explained(JSON.stringify(written[member].body), written.dialect ?? "native", event, signal);
				if (answer) shown.push(outcome(title, answer, member === "failureFilter"));
			}
			put(verdict, shown.length > 0 ? shown : h("p", "dim", "No filter of this spec looks into the body."));
		});
	}

	async function submit(submitted) {
		submitted.preventDefault();
		const called = key.value || checked?.cacheKey;
		if (!called) {
			notice("The poll needs a key: the same key and spec is always the same poll.");
			return void key.focus();
		}
		create.disabled = true;
		try {
			const text = spec.text;
			await api.create(scope.value, called, text);
			say("Created");
			go(`/?${new URLSearchParams({ poll: called, ...(scope.value ? { in: scope.value } : {}) })}`);
		} catch (error) {
			if (error.diagnostics?.length) spec.show(error.diagnostics, spec.text);
			notice(error.fields?.length ? `${error.message} (${error.fields.join(", ")})` : error.message);
			create.disabled = false;
		}
	}
	for (const input of [scope, key]) input.addEventListener("input", write);
	check(spec.text);
}

function playground(main, go, leaving) {
	const kept = store.read("poll-play");
	const running = newest(leaving);
	const converting = newest(leaving);
	const dialect = h("select", { name: "dialect", "aria-label": "Dialect", onchange: () => run() }, DIALECTS.map((each) => h("option", { value: each, selected: each === (kept.dialect ?? "native") }, each)));
	const native = button("Convert to native", "", () => convert());
	const verdict = h("div", { class: "result", role: "status" });
	const filter = editor({ name: "filter", label: "Filter", text: kept.filter ?? FILTER, rows: 12, onchange: () => run() });
	const event = editor({ name: "event", label: "Event", text: kept.event ?? EVENT, rows: 12, onchange: () => run() });
	// What keeps the filter from being converted stays shown until the filter or its dialect is another one.
	let unconverted;
	put(main, h("h1", "unseen", "Playground"), h("div", "workshop",
		h("section", { class: "card", "aria-label": "Filter" }, h("div", "cardtop", h("h2", {}, "Filter"), dialect, native), filter.element),
		h("section", { class: "card", "aria-label": "Event" }, h("div", "cardtop", h("h2", {}, "Event")), event.element)),
	h("section", { class: "card", "aria-label": "Result" }, verdict));

	async function run() {
		const text = filter.text;
		native.hidden = dialect.value === "native";
		store.write("poll-play", { filter: text, event: event.text, dialect: dialect.value });
		await running(async (signal) => {
			try {
				const answer = await api.check("filter", dialect.value, text, signal);
				const stays = unconverted?.text === text && unconverted.dialect === dialect.value;
				filter.show([...(answer.diagnostics ?? []), ...(stays ? unconverted.diagnostics : [])], text);
			} catch (error) {
				filter.refused(error, text);
				return put(verdict, h("p", "dim", "The filter has errors."));
			}
			const answer = await explained(text, dialect.value, event, signal);
			return put(verdict, answer ? outcome("", answer) : h("p", "dim", "The event is not JSON."));
		});
	}

	async function convert() {
		await converting(async (signal) => {
			const asked = { text: filter.text, dialect: dialect.value };
			try {
				const answer = await api.convert(asked.text, asked.dialect, signal);
				// The answer to what was typed over in the meantime would undo the typing.
				if (filter.text !== asked.text || dialect.value !== asked.dialect) return;
				dialect.value = "native";
				filter.set(JSON.stringify(answer.filter, null, 2));
				say("Converted");
			} catch (error) {
				if (!error.diagnostics?.length) throw error;
				unconverted = { ...asked, diagnostics: error.diagnostics };
				filter.show(error.diagnostics, asked.text);
			}
		});
	}
	run();
}

/** Explains the event of an editor; shows there what is wrong with it. */
async function explained(filterText, dialect, event, signal) {
	const text = event.text;
	try {
		JSON.parse(text);
	} catch (error) {
		event.show([{ severity: "error", message: `not JSON: ${error.message}` }], text);
		return undefined;
	}
	try {
		const answer = await api.explain(filterText, dialect, text, signal);
		event.show([], text);
		return answer;
	} catch (error) {
		event.refused(error, text);
		return undefined;
	}
}

function outcome(title, answer, isFailure = false) {
	const [held, of] = tally([answer]);
	const good = answer.matched !== isFailure;
	return h("div", {},
		h("p", "verdict", title && [h("strong", {}, title), ": "], h("strong", { class: answer.matched ? (good ? "good" : "bad") : "" }, answer.matched ? "match" : "no match"), of > 0 && h("span", "dim", `, ${held} of ${plural(of, "condition")} ${held === 1 ? "holds" : "hold"}`)),
		answer.conditions ? explainTree(answer) : h("pre", {}, foreign(answer.text ?? "", 5000)));
}
