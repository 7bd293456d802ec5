// The list of polls: pages by cursor, rows only where the window shows them, kept live by the stream of all polls.
//
// What always holds: `rows` is in the order of the API, newest first; at most some fifty rows are in the document, however
// many are loaded; an event changes the row it names and nothing else. A poll that ends while a filter asks for open ones
// stays where it is until the list is read again, so that the reader sees it end.

import * as api from "./api.js";
import { copyButton, foreign, h, notice, put, svg } from "./dom.js";
import { ago, isOpen, ms, now, plural, result, span, stateClass, stateSign, until } from "./format.js";

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
const SINCE = [["any time", 0], ["last 15 min", 900e3], ["last hour", 3600e3], ["last day", 86400e3], ["last week", 604800e3]];

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
	const scroller = h("div", { class: "scroller" }, listed);
	const status = h("span", { class: "dim count", role: "status" });
	const newer = h("button", { type: "button", class: "newer", hidden: true, onclick: () => reload() });
	const empty = h("div", { class: "empty", hidden: true });
	const bar = filterBar(filters, (changed) => go(`/?${new URLSearchParams(changed)}`.replace(/\?$/, ""), { keepFocus: true }));
	put(
		main,
		h("h1", { class: "unseen" }, "Polls"),
		bar.element,
		h("div", { class: "head", "aria-hidden": "true" }, ["State", "Poll", "Origin", "Attempts", "Filter", "Next, or ended"].map((name) => h("span", {}, name))),
		scroller,
		empty,
	);
	bar.element.append(h("div", { class: "above" }, newer, status));
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
				if (old) dirty.add(Object.assign(clean(old), { attempts: row.recent?.at(-1)?.number ?? old.attempts }, row, { recent: row.recent?.map(brief) ?? old.recent }));
				else if (!known) add(row, rows.length);
			}
			if (!known) {
				cursor = page.next ?? null;
				complete = !cursor;
			}
			render();
		} catch (error) {
			if (!leave.signal.aborted) notice(error.message);
		} finally {
			loading = false;
		}
		if (!leave.signal.aborted) more();
	}

	function clean(row) {
		for (const name of ["next", "inFlight", "endedAt", "stale"]) delete row[name];
		return row;
	}

	function add(row, at) {
		row.attempts ??= row.recent?.at(-1)?.number;
		row.recent = row.recent?.map(brief) ?? [];
		rows.splice(at, 0, row);
		byId.set(idOf(row), row);
	}

	/** Loads the next page when the window is near the end of what is loaded. */
	function more() {
		const end = (scroller.scrollTop + scroller.clientHeight) / rowHeight();
		if (cursor && end > rows.length - PAGE / 2) load(cursor);
	}

	async function reload() {
		scroller.scrollTop = 0;
		await load();
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
		const link = h("a", { class: "row", href: hrefOf(row), "data-nav": true });
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
			return put(empty, h("p", {}, "No poll passes these filters."), h("a", { class: "button", href: "/", "data-nav": true }, "Show all polls"));
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
	const filtersApart = (data) =>
		(!filters.scope || data.scope === filters.scope) &&
		(!filters.prefix || data.key.startsWith(filters.prefix)) &&
		(!filters.origin || data.origin === filters.origin) &&
		(!filters.state || filters.state === "open") &&
		!filters.outcome;

	function event(name, data) {
		if (data?.key === undefined) return;
		const row = byId.get(idOf(data));
		if (name === "opened" && !row) {
			if (!filtersApart(data)) return;
			if (scroller.scrollTop < rowHeight()) {
				add({ ...data, state: "open", recent: [] }, 0);
				focused += 1;
				render();
			} else {
				fresh += 1;
				render();
			}
			return;
		}
		if (!row) return;
		if (name === "forgotten") {
			byId.delete(idOf(data));
			rows.splice(rows.indexOf(row), 1);
		} else {
			applyEvent(row, name, data);
			dirty.add(row);
			if (!shown.has(row)) {
				dirty.delete(row);
				return;
			}
		}
		render();
	}

	api
		.follow("/v1/events", { event, live, resync }, leave.signal)
		.catch((error) => notice(error.message));

	const tick = setInterval(() => {
		for (const [row, place] of shown) setWhen(place, row);
		ticks += 1;
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
		const top = index * height;
		if (top < scroller.scrollTop) scroller.scrollTop = top;
		else if (top + height > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = top + height - scroller.clientHeight;
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

const hrefOf = (row) => `/?${new URLSearchParams({ poll: row.key, ...(row.scope ? { in: row.scope } : {}) })}`;

const sinceTime = (filters) => (filters.since ? { since: new Date(now() - Number(filters.since)).toISOString() } : {});

function applyEvent(row, name, data) {
	if (name === "requesting") {
		row.inFlight = { attempt: data.attempt, at: data.at };
		delete row.next;
	} else if (name === "attempted") {
		delete row.inFlight;
		row.recent = [...row.recent, brief(data)].slice(-KEPT);
		row.attempts = data.number;
		row.note = data.note ?? undefined;
		// How much of the filter holds is not in the stream.
		row.stale = true;
		row.next = data.next?.at;
	} else if (name === "retry") {
		row.next = data.at;
	} else if (name === "held") {
		row.next = data.until;
	} else if (name === "outcome") {
		delete row.inFlight;
		delete row.next;
		row.state = data.outcome;
		row.endedAt = data.endedAt;
		row.attempts = data.attempts;
		row.restarts = data.restarts;
		if (data.explanation) row.note = data.explanation;
	} else if (name === "opened") {
		row.state = "open";
		row.restarts = data.restarts;
	}
}

function fillRow(place, row) {
	place.when = h("span", { class: "when" });
	place.link.className = `row is-${stateClass(row.state)}`;
	put(
		place.link,
		h("span", { class: "state" }, h("span", { class: "sign", "aria-hidden": "true" }, stateSign(row.state)), h("span", { class: "word" }, row.state)),
		h("span", { class: "what" },
			h("span", { class: "name" }, row.scope ? [foreign(row.scope, 80, { class: "scope" }), h("span", { class: "slash" }, "/")] : null, foreign(row.key, 200, { class: "key" })),
			row.problem ? foreign(row.problem, 200, { class: "note bad" }) : foreign(row.note ?? row.url ?? "", 200, { class: "note" })),
		foreign((row.origin ?? "").replace(/^https?:\/\//, ""), 80, { class: "origin", title: row.url ?? row.origin }),
		h("span", { class: "tries" }, sparkline(row.recent), h("span", { class: "number" }, row.attempts ?? 0)),
		h("span", { class: "holds" }, holds(row)),
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
	const keep = (names) => Object.fromEntries(Object.entries(filters).filter(([name]) => !names.includes(name)));
	const field = (name, label, wide) => {
		const input = h("input", { type: "search", name, value: filters[name] ?? "", placeholder: label, "aria-label": label, autocomplete: "off", spellcheck: "false", class: wide ? "wide" : "" });
		let timer;
		const apply = () => {
			clearTimeout(timer);
			if ((filters[name] ?? "") !== input.value) changed({ ...keep([name]), ...(input.value ? { [name]: input.value } : {}) });
		};
		input.addEventListener("input", () => (clearTimeout(timer), (timer = setTimeout(apply, 350))));
		input.addEventListener("keydown", (event) => event.key === "Enter" && apply());
		return input;
	};
	const search = field("prefix", "Key begins with…   ( / )", true);
	const chips = CHIPS.map(([label, values]) => {
		const active = (filters.state ?? "") === (values.state ?? "") && (filters.outcome ?? "") === (values.outcome ?? "");
		const sign = label === "All" ? null : h("span", { class: `sign is-${stateClass(label.toLowerCase())}`, "aria-hidden": "true" }, stateSign(label.toLowerCase()));
		return h("button", { type: "button", class: "chip", "aria-pressed": String(active), onclick: () => changed({ ...keep(["state", "outcome"]), ...values }) }, sign, label);
	});
	const since = h("select", { "aria-label": "Created since", onchange: () => changed({ ...keep(["since"]), ...(since.value === "0" ? {} : { since: since.value }) }) },
		SINCE.map(([label, value]) => h("option", { value: String(value), selected: String(value) === (filters.since ?? "0") }, label)));
	const element = h("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
		search, h("div", { class: "chips", role: "group", "aria-label": "State" }, chips), field("scope", "Scope"), field("origin", "Origin"), since);
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
		h("p", { class: "big" }, "No polls yet."),
		h("p", { class: "dim" }, "A poll asks a URL until a response matches a filter. Three commands to begin with:"),
		h("ol", { class: "steps" }, commands.map(([title, text]) =>
			h("li", {}, h("div", { class: "steptop" }, h("strong", {}, title), copyButton("Copy", () => text, { class: "quiet" })), h("pre", {}, text)))),
		h("p", {}, h("a", { class: "button primary", href: "/?view=new", "data-nav": true }, "Or write one here")),
	];
}

