// Elements, and text that cannot deceive. All text of polls is hostile: it reaches the document only as text nodes made
// here, never as markup, and characters that hide or reorder text are shown by name.

import { stateClass, stateSign } from "./format.js";

/** An element. Properties `on…` are listeners; a string instead of properties is the class. */
export function h(tag, properties, ...children) {
	return fill(document.createElement(tag), properties, children);
}

export function svg(tag, properties, ...children) {
	return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), properties, children);
}

function fill(element, properties, children) {
	for (const [name, value] of Object.entries(typeof properties === "string" ? { class: properties } : properties)) {
		if (value === undefined || value === false || value === null) continue;
		if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
		else if (name === "value" || name === "checked" || name === "selected") element[name] = value;
		else element.setAttribute(name, value === true ? "" : value);
	}
	return put(element, ...children);
}

/** Fills an element; children that are absent or `false` are left out. */
export function put(element, ...children) {
	element.replaceChildren(...children.flat(3).filter((child) => child !== false && child !== undefined && child !== null));
	return element;
}

// Controls but tab and line feed; bidirectional controls; invisible characters; line separators; lone surrogates; the block of tags.
const DECEIVING = new RegExp(
	"[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u3164\\ufeff\\uffa0\\ufff9-\\ufffb\\p{Cs}\\u{e0000}-\\u{e0fff}]",
	"gu",
);

/** The text with deceiving characters replaced by their names, such as ⟨U+202E⟩. */
export function visible(text) {
	return String(text).replace(DECEIVING, (character) => `⟨U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

/** One line of visible text, cut at `most` characters. */
export function line(text, most = 300) {
	const all = String(text);
	const cut = visible(all.slice(0, most).replace(/[\n\t]/g, " "));
	return all.length > most ? `${cut}…` : cut;
}

/** Foreign text in an element of its own, isolated from the direction of the text around it. */
export function foreign(text, most = 300, properties = {}) {
	const shown = line(text, most);
	const title = properties.title ?? (shown.length > 24 ? line(text, 2000) : undefined);
	return h("bdi", { ...properties, title }, shown);
}

/** The name of a poll. */
export const nameOf = ({ scope, key }) => [scope && [foreign(scope, 80, { class: "scope" }), h("span", "slash", "/")], foreign(key, 200, { class: "key" })];

export const hrefOf = ({ scope, key }) => `/?${new URLSearchParams({ poll: key, ...(scope && { in: scope }) })}`;

/** The sign and the word of a state; an element around them has the class of its colour. */
export const stateWords = (state) => h("span", "state", h("span", { class: "sign", "aria-hidden": "true" }, stateSign(state)), h("span", "word", state));

export const button = (label, kind, onclick, properties) => h("button", { type: "button", class: kind, onclick, ...properties }, label);

/** A row of buttons, one for each state, of which one is pressed. `choices`: their labels and values. */
export const chips = (choices, isPressed, choose) => h("div", { class: "chips", role: "group", "aria-label": "State" }, choices.map(([label, value]) => {
	const state = label.toLowerCase();
	const sign = label !== "All" && h("span", { class: "sign", "aria-hidden": "true" }, stateSign(state));
	return button([sign, label], `chip ${stateClass(state)}`, () => choose(value), { "aria-pressed": String(isPressed(value)) });
}));

/** A button that does something, and cannot be pressed again meanwhile. */
export function action(label, kind, done, run) {
	return button(label, kind, async ({ target }) => {
		target.disabled = true;
		try {
			await run();
			say(done);
		} catch (error) {
			notice(error.message);
		}
		target.disabled = false;
	});
}

/** For screen readers. */
export function say(text) {
	document.getElementById("said").textContent = text;
}

/** Shows a problem above the page; without text, hides it. */
export function notice(text) {
	const place = document.getElementById("notice");
	place.hidden = !text;
	put(place, text && [h("span", {}, visible(text)), button("Close", "quiet", () => notice())]);
}

/** A button that copies what `text` returns. */
export const copyButton = (label, text, kind = "") => button(label, kind, async ({ target }) => {
	const copied = await toClipboard(text());
	target.textContent = copied ? "Copied" : "Select and copy";
	say(copied ? `${label} copied` : "The browser refused to copy");
	setTimeout(() => (target.textContent = label), 1500);
});

async function toClipboard(text) {
	try {
		await navigator.clipboard.writeText(text);
		return true;
	} catch {
		// Without TLS it is absent, except on loopback.
		const area = h("textarea", "unseen");
		area.value = text;
		document.body.append(area);
		area.select();
		const copied = document.execCommand("copy");
		area.remove();
		return copied;
	}
}
