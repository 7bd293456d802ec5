// JSON as text: laid out without being parsed, so that numbers and duplicate members stay as they were written.

/** The text with line breaks and indents, if it is JSON; else unchanged. `most` bounds the output. */
export function laidOut(text, most = 200000) {
	const trimmed = text.trim();
	if (!/^[[{]/.test(trimmed)) return text;
	let out = "";
	let depth = 0;
	let before = "";
	for (const [token] of trimmed.matchAll(/"(?:[^"\\]|\\.)*"?|[[\]{},:]|[^\s[\]{},:"]+/gs)) {
		const opened = /^[[{]/.test(before);
		const closes = /^[\]}]/.test(token);
		if (closes) depth = Math.max(0, depth - 1);
		if (closes ? !opened : opened || before === ",") out += `\n${"  ".repeat(Math.min(depth, 60))}`;
		out += token === ":" ? ": " : token;
		if (/^[[{]/.test(token)) depth += 1;
		before = token;
		if (out.length > most) return `${out.slice(0, most)}…`;
	}
	return out;
}

/** An offset of UTF-8 bytes as one of UTF-16 units in the same text. */
export function unitOffset(text, byteOffset) {
	return new TextDecoder().decode(new TextEncoder().encode(text).subarray(0, byteOffset)).length;
}
