// Elements, and text that cannot deceive. All text of polls is hostile: it reaches the document only as text nodes made
// here, never as markup, and characters that hide or reorder text are shown by name.

/** An element. Properties `on…` are listeners. */
export function h(tag, properties, ...children) {
	return fill(document.createElement(tag), properties, children);
}

export function svg(tag, properties, ...children) {
	return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), properties, children);
}

function fill(element, properties, children) {
	for (const [name, value] of Object.entries(properties ?? {})) {
		if (value === undefined || value === false || value === null) continue;
		if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
		else if (name === "value" || name === "checked" || name === "selected") element[name] = value;
		else element.setAttribute(name, value === true ? "" : value);
	}
	element.append(...children.flat(3).filter((child) => child !== undefined && child !== null && child !== false));
	return element;
}

export function put(element, ...children) {
	element.replaceChildren(...children.flat(3).filter((child) => child !== undefined && child !== null && child !== false));
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

/** For screen readers. */
export function say(text) {
	document.getElementById("said").textContent = text;
}

/** Shows a problem above the page; without text, hides it. */
export function notice(text) {
	const place = document.getElementById("notice");
	place.hidden = !text;
	put(place, text && [h("span", {}, visible(text)), h("button", { type: "button", class: "quiet", onclick: () => notice() }, "Close")]);
}

/** A button that copies what `text` returns. */
export function copyButton(label, text, properties = {}) {
	const button = h("button", { type: "button", ...properties, onclick: copy }, label);
	async function copy() {
		const copied = await toClipboard(text());
		button.textContent = copied ? "Copied" : "Select and copy";
		say(copied ? `${label} copied` : "The browser refused to copy");
		setTimeout(() => (button.textContent = label), 1500);
	}
	return button;
}

async function toClipboard(text) {
	try {
		await navigator.clipboard.writeText(text);
		return true;
	} catch {
		// Without TLS it is absent, except on loopback.
		const area = h("textarea", { class: "unseen" });
		area.value = text;
		document.body.append(area);
		area.select();
		const copied = document.execCommand("copy");
		area.remove();
		return copied;
	}
}
