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

const two = (number) => String(number).padStart(2, "0");

/** `14:03:09`, with the date if it is not today. */
export function clock(time, fraction = false) {
	const at = new Date(typeof time === "number" ? time : ms(time));
	if (Number.isNaN(at.getTime())) return "–";
	const today = new Date(now()).toDateString() === at.toDateString();
	const day = today ? "" : `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} `;
	const rest = fraction ? `.${String(at.getMilliseconds()).padStart(3, "0")}` : "";
	return `${day}${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}${rest}`;
}

/** `850 ms`, `12 s`, `4 min 20 s`, `3 h 5 min`, `2 d 4 h`. */
export function span(milliseconds) {
	const value = Math.max(0, milliseconds);
	if (value < 1) return `${Math.round(value * 1000)} µs`;
	if (value < 1000) return `${Math.round(value)} ms`;
	const seconds = value / 1000;
	if (seconds < 10 && seconds % 1 >= 0.05) return `${seconds.toFixed(1)} s`;
	if (seconds < 59.5) return `${Math.round(seconds)} s`;
	const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
	const whole = Math.round(seconds);
	const at = units.findIndex(([, size]) => whole >= size);
	const [unit, size] = units[at];
	const rest = units[at + 1] ? Math.floor((whole % size) / units[at + 1][1]) : 0;
	return `${Math.floor(whole / size)} ${unit}${rest ? ` ${rest} ${units[at + 1][0]}` : ""}`;
}

/** `in 7 s`; `now` when it is due. */
export function until(time) {
	const left = ms(time) - now();
	return left < 500 ? "now" : `in ${span(left < 60000 ? Math.round(left / 1000) * 1000 : left)}`;
}

/** `4 min ago`. */
export function ago(time) {
	const passed = now() - ms(time);
	return passed < 1000 ? "just now" : `${span(passed < 60000 ? Math.round(passed / 1000) * 1000 : passed).split(" ", 2).join(" ")} ago`;
}

export const bytes = (count) =>
	count < 1000 ? `${count} B` : count < 1e6 ? `${(count / 1000).toFixed(count < 1e4 ? 1 : 0)} kB` : `${(count / 1e6).toFixed(1)} MB`;

export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

/** The states: name in the API, class for colour, sign. */
const STATES = {
	open: ["open", "●"],
	cancelling: ["cancelled", "◌"],
	matched: ["matched", "✓"],
	failed: ["failed", "✗"],
	"timed out": ["timedout", "◔"],
	cancelled: ["cancelled", "–"],
};

export const stateClass = (state) => STATES[state]?.[0] ?? "failed";
export const stateSign = (state) => STATES[state]?.[1] ?? "!";

export const isOpen = (state) => state === "open" || state === "cancelling";

/** The result of an attempt in a word, and the class of its colour. */
export function result(attempt) {
	const text = attempt.result?.status !== undefined ? String(attempt.result.status) : (attempt.result?.error ?? "?");
	const kind = attempt.verdict === "unmatched" ? (attempt.result?.status >= 400 ? "refused" : "unmatched") : attempt.verdict;
	return [text, kind];
}

export function intervalWords(interval) {
	if (typeof interval === "number") return `every ${span(interval * 1000)}`;
	if (interval && typeof interval === "object") return `every ${span(interval.from * 1000)}, growing ×${interval.factor ?? 1.5} to ${span(interval.to * 1000)}`;
	return "–";
}
