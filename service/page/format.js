// Times, durations, states and counts in words.

/** The clock of the server less that of the browser, in milliseconds; counted only where they differ visibly. */
let skew = 0;

/** Learns the server's clock from a `Date` header, which has whole seconds. */
export function learnClock(header) {
	const difference = Date.parse(header) - Date.now();
	if (Number.isFinite(difference)) skew = Math.abs(difference) > 2500 ? difference : 0;
}

export const now = () => Date.now() + skew;

export const ms = (time) => Date.parse(time);

/** `14:03:09`, with the date if it is not today. */
export function clock(time, fraction = false) {
	const at = new Date(time);
	if (Number.isNaN(at.getTime())) return "–";
	// Swedish writes local time as ISO 8601 does: 2026-01-31 14:03:09.
	const words = (date) => date.toLocaleString("sv").split(" ");
	const [day, hour] = words(at);
	return `${words(new Date(now()))[0] === day ? "" : `${day} `}${hour}${fraction ? `.${String(at.getMilliseconds()).padStart(3, "0")}` : ""}`;
}

const [DAY, HOUR, MINUTE, SECOND] = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

/** `850 ms`, `12 s`, `4 min 20 s`, `3 h 5 min`, `2 d 4 h`. */
export function span(milliseconds) {
	const value = Math.max(0, milliseconds);
	if (value < 1) return `${Math.round(value * 1000)} µs`;
	if (value < 1000) return `${Math.round(value)} ms`;
	const seconds = value / 1000;
	if (seconds < 10 && seconds % 1 >= 0.05) return `${seconds.toFixed(1)} s`;
	if (seconds < 59.5) return `${Math.round(seconds)} s`;
	const whole = Math.round(seconds);
	const [[size, unit], [less, lesser]] = whole >= 86400 ? [DAY, HOUR] : whole >= 3600 ? [HOUR, MINUTE] : [MINUTE, SECOND];
	const rest = Math.floor((whole % size) / less);
	return `${Math.floor(whole / size)} ${unit}${rest ? ` ${rest} ${lesser}` : ""}`;
}

const seconds = (milliseconds) => span(Math.round(milliseconds / 1000) * 1000);

/** `in 7 s`; `now` when it is due. */
export function until(time) {
	const left = ms(time) - now();
	return left < 500 ? "now" : `in ${seconds(left)}`;
}

/** `4 min ago`. */
export function ago(time) {
	const passed = now() - ms(time);
	return passed < 1000 ? "just now" : `${seconds(passed).split(" ", 2).join(" ")} ago`;
}

export const bytes = (count) =>
	count < 1000 ? `${count} B` : count < 1e6 ? `${(count / 1000).toFixed(count < 1e4 ? 1 : 0)} kB` : `${(count / 1e6).toFixed(1)} MB`;

export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

/** The states of polls and webhooks: the class of the colour, and a sign. */
const STATES = {
	open: ["open", "●"],
	cancelling: ["cancelled", "◌"],
	matched: ["matched", "✓"],
	failed: ["failed", "✗"],
	"timed out": ["timedout", "◔"],
	cancelled: ["cancelled", "–"],
	pending: ["open", "●"],
	failing: ["timedout", "!"],
	"gave up": ["failed", "✗"],
	delivered: ["matched", "✓"],
};

/** The state of a webhook in a word. */
export const webhookState = ({ state, tries }) => (state === "dead" ? "gave up" : state === "pending" && tries > 0 ? "failing" : state);

export const stateClass = (state) => `is-${STATES[state]?.[0] ?? "failed"}`;
export const stateSign = (state) => STATES[state]?.[1] ?? "!";

export const isOpen = (state) => state === "open" || state === "cancelling";

/** The result of an attempt in a word, and the class of its colour. */
export function result(attempt) {
	const { status, error = "?" } = attempt.result ?? {};
	return [String(status ?? error), attempt.verdict === "unmatched" && status >= 400 ? "refused" : attempt.verdict];
}

/** How often each result came. */
export function countsOf(attempts) {
	const counts = {};
	for (const attempt of attempts) counts[result(attempt)[0]] = (counts[result(attempt)[0]] ?? 0) + 1;
	return counts;
}

export function intervalWords(interval) {
	if (typeof interval === "number") return `every ${span(interval * 1000)}`;
	if (interval) return `every ${span(interval.from * 1000)}, growing ×${interval.factor ?? 1.5} to ${span(interval.to * 1000)}`;
	return "–";
}
