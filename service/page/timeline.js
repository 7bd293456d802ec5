// The time line of one poll: the grid as ticks, requests as bars, waits that a server or a retry rule asked for as spans,
// restarts as marks. Times come from the history and the spec; the grid is computed as the scheduler does it.

import { h, svg } from "./dom.js";
import { clock, isOpen, ms, now, result, span } from "./format.js";

const HEIGHT = 128;
const BASE = 84;
const BARS = { unmatched: 22, refused: 38, error: 50, matched: 56, failed: 56 };

/** The ticks between two offsets from the start, in milliseconds; at most `most`, or none. */
export function ticks(interval, from, to, most) {
	const growing = typeof interval === "object" && interval !== null;
	const first = Math.max(1, Math.round((growing ? interval.from : interval) * 1e6));
	const longest = growing ? Math.max(first, Math.round(interval.to * 1e6)) : first;
	const factor = growing ? (interval.factor ?? 1.5) : 1;
	const found = [];
	let tick = 0;
	let gap = first;
	while (gap < longest && tick / 1000 < to) {
		if (tick / 1000 >= from) found.push(tick / 1000);
		if (found.length > most) return [];
		tick += gap;
		gap = Math.min(longest, Math.max(gap + 1, Math.round(gap * factor)));
	}
	if ((to - Math.max(from, tick / 1000)) / (gap / 1000) > most) return [];
	const skipped = Math.max(0, Math.ceil((from * 1000 - tick) / gap));
	for (tick += skipped * gap; tick / 1000 < to; tick += gap) found.push(tick / 1000);
	return found;
}

const STEPS = [100, 200, 500, 1e3, 2e3, 5e3, 10e3, 15e3, 30e3, 60e3, 120e3, 300e3, 600e3, 900e3, 1800e3, 3600e3, 7200e3, 21600e3, 43200e3, 86400e3];

/** A time line in an element of its own. `onpick(number)` is called when a bar is chosen. */
export function timeline(onpick) {
	const drawing = svg("svg", { class: "timeline", height: HEIGHT, role: "img" });
	const element = h("div", { class: "timeline-box" }, drawing);
	let last;
	let marker;
	let scale = () => 0;

	function draw(model) {
		last = model;
		const width = Math.max(280, element.clientWidth || 800);
		const { poll, attempts, selected, marks, whole } = model;
		const start = ms(poll.createdAt);
		const ended = poll.outcome ? ms(poll.outcome.endedAt) : undefined;
		const deadline = ms(poll.deadline);
		const lastRequest = attempts.length > 0 ? ms(attempts.at(-1).at) + attempts.at(-1).durationInMicros / 1000 : start;
		const natural = ended !== undefined && !whole ? Math.max(ended, lastRequest) : Math.max(deadline, ended ?? 0, lastRequest);
		const end = Math.max(natural, start + 1);
		const pad = 10;
		scale = (time) => pad + ((time - start) / (end - start)) * (width - 2 * pad);
		drawing.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
		drawing.setAttribute("width", width);
		drawing.setAttribute("aria-label", words(model, end));

		const parts = [svg("rect", { class: "ground", x: pad, y: 16, width: width - 2 * pad, height: BASE - 16, rx: 3 })];
		const interval = poll.spec?.interval ?? 10;
		for (const tick of ticks(interval, 0, end - start, width / 5)) {
			const x = scale(start + tick);
			parts.push(svg("line", { class: "grid", x1: x, x2: x, y1: 16, y2: BASE + 4 }));
		}
		if (attempts.length > 0 && attempts[0].number > 1) {
			const x = scale(ms(attempts[0].at)) - 2;
			parts.push(svg("rect", { class: "unkept", x: pad, y: 16, width: Math.max(0, x - pad), height: BASE - 16 }));
			if (x > 150) parts.push(svg("text", { x: pad + 8, y: 34, class: "label" }, `attempts 1–${attempts[0].number - 1} are not kept`));
		}
		for (const attempt of attempts) parts.push(...bar(attempt, selected));
		parts.push(...spans(attempts, poll, end));
		if (poll.inFlight && isOpen(poll.state)) {
			const x = scale(ms(poll.inFlight.at));
			parts.push(svg("rect", { class: "bar flying", x, y: BASE - 56, width: Math.max(3, scale(Math.min(now(), end)) - x), height: 56, rx: 1.5 }));
		} else if (poll.next && isOpen(poll.state) && ms(poll.next) < end) {
			parts.push(svg("rect", { class: "coming", x: scale(ms(poll.next)) - 1.5, y: BASE - 22, width: 3, height: 22, rx: 1 }));
		}
		for (const mark of marks) {
			const x = scale(Math.min(mark.at, end));
			parts.push(svg("path", { class: "restart", d: `M${x} 4v${BASE - 4}M${x - 5} 4h10l-5 7z` }, svg("title", {}, mark.text)));
		}
		if (ended !== undefined) {
			const x = scale(ended);
			parts.push(svg("line", { class: `ended is-${poll.state.replace(" ", "")}`, x1: x, x2: x, y1: 6, y2: BASE + 6 }));
		}
		parts.push(...axis(start, end, width, pad));
		marker = svg("g", { class: "now" }, svg("line", { y1: 8, y2: BASE + 6 }), svg("circle", { cy: 8, r: 3 }));
		if (isOpen(poll.state)) parts.push(marker);
		drawing.replaceChildren(...parts);
		tick();
	}

	function bar(attempt, selected) {
		const [text, kind] = result(attempt);
		const from = scale(ms(attempt.at));
		const wide = Math.max(2.5, scale(ms(attempt.at) + attempt.durationInMicros / 1000) - from);
		const height = BARS[kind] ?? 30;
		const title = `#${attempt.number}: ${text}, ${clock(attempt.at, true)}, took ${span(attempt.durationInMicros / 1000)}`;
		const shown = svg("rect", { class: `bar ${kind}${attempt.number === selected ? " selected" : ""}`, x: from, y: BASE - height, width: wide, height, rx: 1.5 });
		// A target that a finger can hit.
		const target = svg("rect", { class: "target", x: from - 4, y: 12, width: wide + 8, height: BASE - 8, onclick: () => onpick(attempt.number) }, svg("title", {}, title));
		return attempt.number === selected ? [svg("rect", { class: "halo", x: from - 2, y: 12, width: wide + 4, height: BASE - 8, rx: 2 }), shown, target] : [shown, target];
	}

	function spans(attempts, poll, end) {
		const found = [];
		attempts.forEach((attempt, index) => {
			const why = attempt.next?.why;
			if (!why || why === "grid") return;
			const from = ms(attempt.at) + attempt.durationInMicros / 1000;
			const to = Math.min(end, ms(attempt.next.at));
			// A span ends with the next request, if that came earlier for another reason.
			const next = attempts[index + 1] ? ms(attempts[index + 1].at) : Infinity;
			const text = why === "hint" ? `the server asked to wait ${span(to - from)}, until ${clock(to)}` : `retry ${why.retry?.try} of ${why.retry?.limit}`;
			found.push({ from, to: Math.min(to, Math.max(next, from)), kind: why === "hint" ? "hinted" : "retrying", text });
		});
		if (poll.heldUntil && isOpen(poll.state) && ms(poll.heldUntil) > now()) {
			found.push({ from: Math.max(now() - 1, ms(poll.createdAt)), to: Math.min(end, ms(poll.heldUntil)), kind: "held", text: `held back until ${clock(poll.heldUntil)}: the server asked for it in answer to another poll` });
		}
		return found.flatMap(({ from, to, kind, text }) => {
			const x = scale(from);
			const wide = Math.max(2, scale(to) - x);
			const label = wide > text.length * 6.2 ? svg("text", { class: "label", x: x + 4, y: BASE + 13 }, text) : null;
			return [svg("rect", { class: `wait ${kind}`, x, y: BASE + 5, width: wide, height: 11, rx: 3 }, svg("title", {}, text)), ...(label ? [label] : [])];
		});
	}

	function axis(start, end, width, pad) {
		const step = STEPS.find((candidate) => ((width - 2 * pad) * candidate) / (end - start) > 84) ?? STEPS.at(-1);
		const found = [];
		for (let offset = 0; offset <= end - start; offset += step) {
			const x = scale(start + offset);
			const atEnd = x > width - 60;
			found.push(svg("line", { class: "axis", x1: x, x2: x, y1: BASE + 20, y2: BASE + 25 }));
			found.push(svg("text", { class: "time", x, y: HEIGHT - 6, "text-anchor": offset === 0 ? "start" : atEnd ? "end" : "middle" }, offset === 0 ? clock(start) : `+${span(offset)}`));
		}
		return found;
	}

	/** Moves the mark of the present time. */
	function tick() {
		if (!last || !marker?.isConnected) return;
		marker.setAttribute("transform", `translate(${scale(Math.min(now(), ms(last.poll.deadline)))} 0)`);
	}

	const watcher = new ResizeObserver(() => last && draw(last));
	watcher.observe(element);
	return { element, draw, tick, stop: () => watcher.disconnect() };
}

function words({ poll, attempts }, end) {
	const counts = new Map();
	for (const attempt of attempts) counts.set(result(attempt)[0], (counts.get(result(attempt)[0]) ?? 0) + 1);
	const all = [...counts].map(([text, count]) => `${count} × ${text}`).join(", ");
	return `Time line from ${clock(poll.createdAt)} to ${clock(end)}: ${all || "no attempt"}. The table of attempts has the same in words.`;
}
