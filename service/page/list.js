// The list of polls: pages by cursor, rows only where the window shows them, kept live by the stream of all polls.
//
// What always holds: `rows` is in the order of the API, newest first; at most some fifty rows are in the document, however
// many are loaded; an event changes the row it names and nothing else. A poll that ends while a filter asks for open ones
// stays where it is until the list is read again, so that the reader sees it end.

import * as api from "./api.js";
import { button, chips, copyButton, foreign, h, hrefOf, nameOf, notice, put, stateWords, svg } from "./dom.js";
import { ago, isOpen, ms, now, plural, result, span, stateClass, until } from "./format.js";
import { countFailing } from "./webhooks.js";

const PAGE = 200;
const KEPT = 20;
const FILTERS = ["scope", "prefix", "origin", "state", "outcome", "since"];
const CHIPS = [
	["All", {}],
	["Open", { state: "open" }],
	["Matched", { outcome: "matched" }],
	["Failed", { outcome: "failed" }],
	["Timed out", { outcome: "timed out" }],
	["Cancelled", { outcome: "cancelled" }],
];
const SINCE = [["any time", ""], ["last 15 min", 900e3], ["last hour", 3600e3], ["last day", 86400e3], ["last week", 604800e3]];

const idOf = (poll) => JSON.stringify([poll.scope ?? "", poll.key]);

/** Shows the list in `main`; `query` is the URL's. Returns what leaves it. */
export function showList(main, query, { go, live }) {
	const leave = new AbortController();
	const filters = Object.fromEntries(FILTERS.flatMap((name) => (query.get(name) ? [[name, query.get(name)]] : [])));
	const rows = [];
	const byId = new Map();
	const shown = new Map();
	let cursor = null;
	let loading = false;
	let complete = false;
	let focused = 0;
	let fresh = 0;
	let pages = [];
	let ticks = 0;

	const listed = h("ol", { class: "rows", role: "list", "aria-label": "Polls, newest first" });
	const scroller = h("div", "scroller", listed);
	const status = h("span", { class: "dim count", role: "status" });
	const newer = button("", "newer", () => ((scroller.scrollTop = 0), load()), { hidden: true });
	const empty = h("div", { class: "empty", hidden: true });
	const bar = filterBar(filters, (changed) => go(`/?${new URLSearchParams(changed)}`.replace(/\?$/, ""), { keepFocus: true }));
	put(main,
		h("h1", "unseen", "Polls"),
		bar.element,
		h("div", { class: "head", "aria-hidden": "true" }, ["State", "Poll", "Origin", "Attempts", "Filter", "Next, or ended"].map((name) => h("span", {}, name))),
		scroller,
		empty);
	bar.element.append(h("div", "above", newer, status));
	main.classList.add("listing");

	const rowHeight = () => (scroller.clientWidth < 720 ? 76 : 54);

	/** Reads the page behind the cursor `from`; the first one anew without it. With `known`, only updates rows. */
	async function load(from = null, known = false) {
		if (loading) return;
		loading = true;
		try {
			const page = await api.list({ ...filters, ...sinceTime(filters), limit: PAGE, ...(from ? { cursor: from } : {}) }, leave.signal);
			if (!from && !known) {
				rows.length = 0;
				byId.clear();
				fresh = 0;
				pages = [];
			}
			if (!known) pages.push({ from, index: rows.length });
			for (const row of page.polls) {
				const old = byId.get(idOf(row));
				if (old) dirty.add(Object.assign(old, kept(row, old)));
				else if (!known) add(row, rows.length);
			}
			if (!known) {
				cursor = page.next ?? null;
				complete = !cursor;
			}
			render();
			if (!from) countFailing(leave.signal).catch(() => {});
		} catch (error) {
			if (!leave.signal.aborted) notice(error.message);
		} finally {
			loading = false;
		}
		if (!leave.signal.aborted) more();
	}

	function add(found, at) {
		const row = kept(found);
		rows.splice(at, 0, row);
		byId.set(idOf(row), row);
	}

	/** Loads the next page when the window is near the end of what is loaded. */
	function more() {
		const end = (scroller.scrollTop + scroller.clientHeight) / rowHeight();
		if (cursor && end > rows.length - PAGE / 2) load(cursor);
	}

	// Drawing. Several events between two frames cost one drawing.
	let asked = false;
	const dirty = new Set();
	function render() {
		if (asked) return;
		asked = true;
		requestAnimationFrame(draw);
	}

	function draw() {
		asked = false;
		if (leave.signal.aborted) return;
		const height = rowHeight();
		const from = Math.max(0, Math.floor(scroller.scrollTop / height) - 6);
		const to = Math.min(rows.length, Math.ceil((scroller.scrollTop + scroller.clientHeight) / height) + 6);
		listed.style.height = `${rows.length * height}px`;
		const wanted = new Set(rows.slice(from, to));
		for (const [row, place] of shown) {
			if (wanted.has(row)) continue;
			place.item.remove();
			shown.delete(row);
		}
		for (let index = from; index < to; index += 1) {
			const row = rows[index];
			let place = shown.get(row);
			if (!place) {
				place = newPlace(row);
				shown.set(row, place);
				listed.append(place.item);
				dirty.add(row);
			}
			place.item.style.transform = `translateY(${index * height}px)`;
			place.item.style.height = `${height}px`;
			place.item.setAttribute("aria-posinset", index + 1);
			place.item.setAttribute("aria-setsize", complete ? rows.length : -1);
			place.link.tabIndex = index === Math.min(focused, rows.length - 1) ? 0 : -1;
			place.index = index;
			if (dirty.has(row)) fillRow(place, row);
		}
		dirty.clear();
		status.textContent = rows.length === 0 ? "" : `${plural(rows.length, "poll")}${complete ? "" : " loaded, more below"}`;
		newer.hidden = fresh === 0;
		newer.textContent = `Show ${plural(fresh, "new poll")}`;
		showEmpty();
	}

	function newPlace(row) {
		const link = h("a", { class: "row", href: hrefOf(row) });
		const item = h("li", {}, link);
		const place = { item, link, index: 0 };
		link.addEventListener("focus", () => (focused = place.index));
		return place;
	}

	function showEmpty() {
		const none = rows.length === 0 && complete;
		empty.hidden = !none;
		scroller.hidden = none;
		main.classList.toggle("bare", none && Object.keys(filters).length === 0);
		if (!none) return empty.replaceChildren();
		if (empty.hasChildNodes()) return undefined;
		if (Object.keys(filters).length > 0) {
			return put(empty, h("p", {}, "No poll passes these filters."), h("a", { class: "button", href: "/" }, "Show all polls"));
		}
		return put(empty, firstSteps());
	}

	/** Reads the rows of the shown page again. */
	function refresh() {
		const first = Math.floor(scroller.scrollTop / rowHeight());
		return load(pages.findLast(({ index }) => index <= first)?.from, true);
	}

	/** After missed events: a list that is at its top is read anew. */
	const resync = () => (scroller.scrollTop < rowHeight() ? load() : refresh());

	// Live.
	const passes = (data) =>
		(!filters.scope || data.scope === filters.scope) &&
		(!filters.prefix || data.key.startsWith(filters.prefix)) &&
		(!filters.origin || data.origin === filters.origin) &&
		(!filters.state || filters.state === "open") &&
		!filters.outcome;

	function event(name, data) {
		const row = byId.get(idOf(data));
		if (row && name === "forgotten") {
			byId.delete(idOf(data));
			rows.splice(rows.indexOf(row), 1);
		} else if (row) {
			applyEvent(row, name, data);
			if (!shown.has(row)) return;
			dirty.add(row);
		} else if (name === "opened" && passes(data)) {
			if (scroller.scrollTop < rowHeight()) {
				add({ ...data, state: "open" }, 0);
				focused += 1;
			} else {
				fresh += 1;
			}
		} else {
			return;
		}
		render();
	}

	api
		.follow("/v1/events", { event, live, resync }, leave.signal)
		.catch((error) => notice(error.message));

	const tick = setInterval(() => {
		for (const [row, place] of shown) setWhen(place, row);
		ticks += 1;
		if (ticks % 20 === 0) countFailing(leave.signal).catch(() => {});
		if (ticks % 8 === 0 && [...shown.keys()].some((row) => row.stale && isOpen(row.state))) refresh();
	}, 500);
	const watcher = new ResizeObserver(() => render());
	watcher.observe(scroller);
	scroller.addEventListener("scroll", () => (render(), more()), { passive: true });

	scroller.addEventListener("keydown", (event) => {
		const page = Math.max(1, Math.floor(scroller.clientHeight / rowHeight()) - 1);
		const move = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
		if (move === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
		event.preventDefault();
		focusRow(Math.max(0, Math.min(rows.length - 1, focused + move)));
	});

	function focusRow(index) {
		focused = index;
		const height = rowHeight();
		scroller.scrollTop = Math.min(index * height, Math.max(scroller.scrollTop, (index + 1) * height - scroller.clientHeight));
		draw();
		shown.get(rows[index])?.link.focus({ preventScroll: true });
	}

	load();
	return {
		key(event) {
			if (event.key === "/") return bar.focus(), true;
			if ((event.key === "j" || event.key === "ArrowDown") && !scroller.contains(document.activeElement) && rows.length > 0) return focusRow(focused), true;
			return false;
		},
		leave() {
			leave.abort();
			clearInterval(tick);
			watcher.disconnect();
			main.classList.remove("listing", "bare");
		},
	};
}

/** The result and kind of an attempt. The same ones share an array: a list may have millions of attempts. */
const briefs = new Map();
function brief(attempt) {
	const pair = result(attempt);
	const name = pair.join();
	if (!briefs.has(name)) briefs.set(name, pair);
	return briefs.get(name);
}

/** A poll of the API as a row keeps it, in place of what it had. */
const kept = (row, old) => ({
	next: undefined, inFlight: undefined, endedAt: undefined, stale: false, ...row,
	attempts: row.attempts ?? row.recent?.at(-1)?.number ?? old?.attempts,
	recent: row.recent?.map(brief) ?? old?.recent ?? [],
});

const sinceTime = (filters) => (filters.since ? { since: new Date(now() - Number(filters.since)).toISOString() } : {});

function applyEvent(row, name, data) {
	api.apply(row, name, data);
	if (name === "attempted") {
		row.recent = [...row.recent, brief(data)].slice(-KEPT);
		row.attempts = data.number;
		row.note = data.note ?? undefined;
		// How much of the filter holds is not in the stream.
		row.stale = true;
	} else if (name === "outcome") {
		row.state = data.outcome;
		row.endedAt = data.endedAt;
		row.attempts = data.attempts;
		row.note = data.explanation ?? row.note;
	} else if (name === "opened") {
		row.state = "open";
	}
}

function fillRow(place, row) {
	place.when = h("span", "when");
	place.link.className = `row ${stateClass(row.state)}`;
	put(
		place.link,
		stateWords(row.state),
		h("span", "what",
			h("span", "name", nameOf(row)),
			row.problem ? foreign(row.problem, 200, { class: "note bad" }) : foreign(row.note ?? row.url ?? "", 200, { class: "note" })),
		foreign((row.origin ?? "").replace(/^https?:\/\//, ""), 80, { class: "origin", title: row.url ?? row.origin }),
		h("span", "tries", sparkline(row.recent), h("span", "number", row.attempts ?? 0)),
		h("span", "holds", holds(row)),
		place.when,
	);
	setWhen(place, row);
}

function setWhen(place, row) {
	const text = whenOf(row);
	if (place.when && place.when.textContent !== text) place.when.textContent = text;
	place.when?.classList.toggle("asking", row.inFlight !== undefined && isOpen(row.state));
}

function whenOf(row) {
	if (row.endedAt) return ago(row.endedAt);
	if (row.inFlight) return `asking ${span(Math.max(0, Math.round((now() - ms(row.inFlight.at)) / 1000)) * 1000)}`.replace(" 0 µs", "");
	if (row.next) return until(row.next);
	return row.deadline && isOpen(row.state) ? `ends ${until(row.deadline)}` : "–";
}

function holds(row) {
	const found = row.state === "matched" ? { held: 1, of: 1 } : row.holds;
	if (!found?.of) return null;
	const label = row.state === "matched" ? "holds" : `${found.held} of ${found.of}`;
	return [
		svg("svg", { class: "meter", viewBox: "0 0 40 6", width: 40, height: 6, "aria-hidden": "true" },
			svg("rect", { class: "rail", width: 40, height: 6, rx: 3 }), svg("rect", { class: "full", width: Math.round((40 * found.held) / found.of), height: 6, rx: 3 })),
		h("span", {}, label),
	];
}

const HEIGHTS = { unmatched: 7, refused: 12, error: 16, matched: 16, failed: 16 };

/** The last attempts as bars: their colour and height say what came of them. */
function sparkline(recent) {
	const words = recent.slice(-5).map(([text]) => text).join(", ");
	return svg("svg", { class: "spark", viewBox: `0 0 ${KEPT * 5} 16`, width: KEPT * 5, height: 16, role: "img", "aria-label": words ? `last results: ${words}` : "no attempt yet" },
		recent.map(([, kind], index) => {
			const height = HEIGHTS[kind] ?? 10;
			return svg("rect", { class: `bar ${kind}`, x: index * 5 + 1, y: 16 - height, width: 3.5, height, rx: 1 });
		}));
}

function filterBar(filters, changed) {
	const change = (values) => changed(Object.fromEntries(Object.entries({ ...filters, ...values }).filter(([, value]) => value)));
	const field = (name, label, wide) => {
		const input = h("input", { type: "search", name, value: filters[name] ?? "", placeholder: label, "aria-label": label, autocomplete: "off", spellcheck: "false", class: wide ? "wide" : "" });
		let timer;
		const apply = () => {
			clearTimeout(timer);
			if ((filters[name] ?? "") !== input.value) change({ [name]: input.value });
		};
		input.addEventListener("input", () => (clearTimeout(timer), (timer = setTimeout(apply, 350))));
		input.addEventListener("keydown", (event) => event.key === "Enter" && apply());
		return input;
	};
	const search = field("prefix", "Key begins with…   ( / )", true);
	const states = chips(CHIPS, ({ state, outcome }) => state === filters.state && outcome === filters.outcome, (values) => change({ state: "", outcome: "", ...values }));
	const since = h("select", { "aria-label": "Created since", onchange: () => change({ since: since.value }) },
		SINCE.map(([label, value]) => h("option", { value, selected: String(value) === (filters.since ?? "") }, label)));
	const element = h("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
		search, states, field("scope", "Scope"), field("origin", "Origin"), since);
	return { element, focus: () => search.focus() };
}

function firstSteps() {
	const here = location.origin;
	const commands = [
		["Create a poll", `curl -X PUT ${here}/v1/polls/first -H 'content-type: application/json' \\\n  -d '{"url": "${here}/healthz", "interval": 10, "timeout": 60}'`],
		["Wait for its outcome", `curl '${here}/v1/polls/first/outcome?wait=25'`],
		["The same from the command line", `poll submit --server ${here} spec.json\npoll list --server ${here}`],
	];
	return [
		h("p", "big", "No polls yet."),
		h("p", "dim", "A poll asks a URL until a response matches a filter. Three commands to begin with:"),
		h("ol", "steps", commands.map(([title, text]) =>
			h("li", {}, h("div", "steptop", h("strong", {}, title), copyButton("Copy", () => text, "quiet")), h("pre", {}, text)))),
		h("p", {}, h("a", { class: "button primary", href: "/?view=new" }, "Or write one here")),
	];
}

