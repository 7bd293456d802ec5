// JSON as text: laid out without being parsed, so that numbers and duplicate members stay as they were written.

/** The text with line breaks and indents, if it is JSON; else unchanged. `most` bounds the output. */
export function laidOut(text, most = 200000) {
	const trimmed = text.trim();
	if (!/^[[{]/.test(trimmed)) return text;
	let out = "";
	let depth = 0;
	const tokens = /"(?:[^"\\]|\\.)*"?|[[\]{},:]|[^\s[\]{},:"]+|\s+/gs;
	let before = "";
	const indent = () => `\n${"  ".repeat(Math.min(depth, 60))}`;
	for (const [token] of trimmed.matchAll(tokens)) {
		if (/^\s/.test(token)) continue;
		if (token === "}" || token === "]") {
			depth = Math.max(0, depth - 1);
			out += before === "{" || before === "[" ? token : indent() + token;
		} else {
			if (before === "{" || before === "[" || before === ",") out += indent();
			out += token === ":" ? ": " : token;
			if (token === "{" || token === "[") depth += 1;
		}
		before = token;
		if (out.length > most) return `${out.slice(0, most)}…`;
	}
	return out;
}

/** Offsets of UTF-8 bytes as offsets of UTF-16 units in the same text. */
export function unitOffset(text, byteOffset) {
	let units = 0;
	let passed = 0;
	for (const character of text) {
		if (passed >= byteOffset) break;
		const code = character.codePointAt(0);
		passed += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
		units += character.length;
	}
	return units;
}
