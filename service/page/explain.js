// Explanations of filters as trees of conditions with ✓ and ✗, and how many conditions hold.

import { foreign, h, line } from "./dom.js";

const nameOf = (condition) => JSON.stringify([condition.path, condition.expected]);

/** All conditions of a tree, without the groups. */
function* checks(conditions) {
	for (const condition of conditions ?? []) {
		if (condition.conditions) yield* checks(condition.conditions);
		else yield condition;
	}
}

/** `[held, of]` over the parts of an explanation. */
export function tally(parts) {
	const all = (parts ?? []).flatMap((part) => (typeof part === "string" ? [] : [...checks(part.conditions)]));
	return [all.filter((condition) => condition.held).length, all.length];
}

/**
 * The tree of one explanation, or of a list of parts (`status`, `headers`, `body`, `text`). With the explanation of the
 * attempt before, conditions that changed say what they were.
 */
export function explainTree(explanation, before) {
	const parts = Array.isArray(explanation) ? explanation : [explanation];
	if (parts.every((part) => typeof part === "string")) return explainText(parts.join("\n"));
	const earlier = new Map();
	for (const part of Array.isArray(before) ? before : before ? [before] : []) {
		if (typeof part === "object") for (const condition of checks(part.conditions)) earlier.set(nameOf(condition), condition);
	}
	return h("div", "explain", parts.map((part) => [
		part.part && h("h3", {}, part.part === "text" ? "body as text" : part.part),
		part.conditions?.length ? tree(part.conditions, earlier) : h("p", "dim", part.summary ? foreign(part.summary) : part.matched ? "No condition: everything matches." : "Does not hold."),
	]));
}

function tree(conditions, earlier) {
	return h("ul", "tree", conditions.map((condition) => {
		if (condition.conditions) {
			return h("li", {}, sign(condition.held), h("span", "rule", foreign(condition.rule)), tree(condition.conditions, earlier));
		}
		const was = earlier.get(nameOf(condition));
		const changed = was && (was.held !== condition.held || was.actual !== condition.actual);
		return h("li", { class: condition.held ? "held" : "missed" }, sign(condition.held),
			foreign(condition.path || "(the whole event)", 120, { class: "path" }), " ",
			h("span", "actual", "is ", foreign(condition.actual, 160, { class: "value" })), " ",
			h("span", "expected", "expected ", foreign(condition.expected, 160, { class: "value" })),
			changed && h("span", "changed", "was ", foreign(was.actual, 120, { class: "value" })),
			condition.hint && h("div", "hint", foreign(condition.hint)));
	}));
}

const sign = (held) => [h("span", { class: `tick ${held ? "yes" : "no"}`, "aria-hidden": "true" }, held ? "✓" : "✗"), h("span", "unseen", held ? "holds: " : "does not hold: ")];

/** An explanation that came as text, as outcomes keep it. */
export function explainText(text) {
	const lines = String(text).split("\n");
	return h("div", "explain lines", lines.slice(0, 200).map((raw) => {
		const found = /^(\s*)([✓✗])\s+(.*)$/u.exec(raw);
		if (!found) return h("div", "plain", line(raw, 600));
		return h("div", { class: found[2] === "✓" ? "held" : "missed" }, sign(found[2] === "✓"), line(found[3], 600));
	}));
}
