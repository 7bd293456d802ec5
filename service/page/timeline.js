// The time line of one poll: the grid as ticks, requests as bars, waits that a server or a retry rule asked for as spans,
// restarts as marks. Times come from the history and the spec; the grid is computed as the scheduler does it.

import { h, svg } from "./dom.js";
import { clock, countsOf, isOpen, ms, now, result, span, stateClass } from "./format.js";

const HEIGHT = 128;
const BASE = 84;
const PAD = 10;
const BARS = { unmatched: 22, refused: 38, error: 50, matched: 56, failed: 56 };

const endOf = (attempt) => ms(attempt.at) + attempt.durationInMicros / 1000;

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

const rect = (kind, x, y, width, height, ...children) => svg("rect", { class: kind, x, y, width, height, rx: 2 }, ...children);
const upright = (kind, x, from, to) => svg("path", { class: kind, d: `M${x} ${from}V${to}` });

/** A time line in an element of its own. `onpick(number)` is called when a bar is chosen. */
export function timeline(onpick) {
	const drawing = svg("svg", { class: "timeline", height: HEIGHT, role: "img" });
	const element = h("div", "timeline-box", drawing);
	let drawn;
	let marker;
	let scale = () => 0;

	function draw(model) {
		drawn = model;
		const width = Math.max(280, element.clientWidth || 800);
		const { poll, attempts, selected, marks, whole } = model;
		const start = ms(poll.createdAt);
		const ended = poll.outcome && ms(poll.outcome.endedAt);
		const last = attempts.at(-1);
		const end = Math.max(start + 1, ended ?? 0, last ? endOf(last) : 0, ended && !whole ? 0 : ms(poll.deadline));
		const inner = width - 2 * PAD;
		scale = (time) => PAD + ((time - start) / (end - start)) * inner;
		drawing.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
		drawing.setAttribute("width", width);
		drawing.setAttribute("aria-label", words(model, end));

		const parts = [rect("ground", PAD, 16, inner, BASE - 16)];
		for (const tick of ticks(poll.spec?.interval ?? 10, 0, end - start, width / 5)) parts.push(upright("grid", scale(start + tick), 16, BASE + 4));
		if (attempts.length > 0 && attempts[0].number > 1) {
			const x = scale(ms(attempts[0].at)) - 2;
			parts.push(rect("unkept", PAD, 16, Math.max(0, x - PAD), BASE - 16));
			if (x > 150) parts.push(svg("text", { x: PAD + 8, y: 34, class: "label" }, `attempts 1–${attempts[0].number - 1} are not kept`));
		}
		for (const attempt of attempts) parts.push(...bar(attempt, selected));
		parts.push(...spans(attempts, poll, end));
		if (poll.inFlight && isOpen(poll.state)) {
			const x = scale(ms(poll.inFlight.at));
			parts.push(rect("bar flying", x, BASE - 56, Math.max(3, scale(Math.min(now(), end)) - x), 56));
		} else if (poll.next && isOpen(poll.state) && ms(poll.next) < end) {
			parts.push(rect("coming", scale(ms(poll.next)) - 1.5, BASE - 22, 3, 22));
		}
		for (const mark of marks) {
			const x = scale(Math.min(mark.at, end));
			parts.push(svg("path", { class: "restart", d: `M${x} 4v${BASE - 4}M${x - 5} 4h10l-5 7z` }, svg("title", {}, mark.text)));
		}
		if (ended) parts.push(upright(`ended ${stateClass(poll.state)}`, scale(ended), 6, BASE + 6));
		parts.push(...axis(start, end, width));
		marker = svg("g", "now", upright("", 0, 8, BASE + 6), svg("circle", { cy: 8, r: 3 }));
		if (isOpen(poll.state)) parts.push(marker);
		drawing.replaceChildren(...parts);
		tick();
	}

	function bar(attempt, selected) {
		const [text, kind] = result(attempt);
		const from = scale(ms(attempt.at));
		const wide = Math.max(2.5, scale(endOf(attempt)) - from);
		const height = BARS[kind] ?? 30;
		const title = `#${attempt.number}: ${text}, ${clock(attempt.at, true)}, took ${span(attempt.durationInMicros / 1000)}`;
		// A target that a finger can hit.
		const target = rect("target", from - 4, 12, wide + 8, BASE - 8, svg("title", {}, title));
		target.addEventListener("click", () => onpick(attempt.number));
		const halo = attempt.number === selected ? [rect("halo", from - 2, 12, wide + 4, BASE - 8)] : [];
		return [...halo, rect(`bar ${kind}`, from, BASE - height, wide, height), target];
	}

	function spans(attempts, poll, end) {
		const found = [];
		attempts.forEach((attempt, index) => {
			const why = attempt.next?.why;
			if (!why || why === "grid") return;
			const from = endOf(attempt);
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
			const label = wide > text.length * 6.2 ? [svg("text", { class: "label", x: x + 4, y: BASE + 13 }, text)] : [];
			return [rect(`wait ${kind}`, x, BASE + 5, wide, 11, svg("title", {}, text)), ...label];
		});
	}

	function axis(start, end, width) {
		const step = STEPS.find((candidate) => scale(start + candidate) - PAD > 84) ?? STEPS.at(-1);
		const found = [];
		for (let offset = 0; offset <= end - start; offset += step) {
			const x = scale(start + offset);
			const anchor = offset === 0 ? "start" : x > width - 60 ? "end" : "middle";
			found.push(upright("axis", x, BASE + 20, BASE + 25), svg("text", { x, y: HEIGHT - 6, "text-anchor": anchor }, offset === 0 ? clock(start) : `+${span(offset)}`));
		}
		return found;
	}

	/** Moves the mark of the present time. */
	function tick() {
		if (marker?.isConnected) marker.setAttribute("transform", `translate(${scale(Math.min(now(), ms(drawn.poll.deadline)))} 0)`);
	}

	const watcher = new ResizeObserver(() => drawn && draw(drawn));
	watcher.observe(element);
	return { element, draw, tick, stop: () => watcher.disconnect() };
}

function words({ poll, attempts }, end) {
	const all = Object.entries(countsOf(attempts)).map(([text, count]) => `${count} × ${text}`).join(", ");
	return `Time line from ${clock(poll.createdAt)} to ${clock(end)}: ${all || "no attempt"}. The table of attempts has the same in words.`;
}
