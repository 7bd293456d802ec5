// A poll as text for other places: a curl command, its spec, Rust, TypeScript.

import { pollPath } from "./api.js";

/** Quotes for a POSIX shell. */
const shell = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** A raw string of Rust with as many `#` as the text needs. */
function rust(text) {
	const longest = Math.max(0, ...[...text.matchAll(/"(#*)/g)].map(([, hashes]) => hashes.length + 1));
	const hashes = "#".repeat(Math.max(1, longest));
	return `r${hashes}"${text}"${hashes}`;
}

const quoted = (text) => JSON.stringify(text).replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
const rustQuoted = (text) => `"${[...text].map((c) => (/[ !#-[\]-~]/.test(c) ? c : `\\u{${c.codePointAt(0).toString(16)}}`)).join("")}"`;

/** The forms that the page offers: label and text. */
export function forms({ scope, key, spec }) {
	const pretty = JSON.stringify(spec, null, 2);
	const inScope = scope ? `.scope(${rustQuoted(scope)})` : "";
	return [
		["curl", () => `curl -X PUT ${shell(location.origin + pollPath(scope, key))} \\\n  -H 'content-type: application/json' \\\n  -d ${shell(pretty)}`],
		["spec", () => pretty],
		["Rust", () => `let spec = poller::PollSpec::parse(\n    ${rust(pretty)},\n)?;\nlet done = poller${inScope}.background_poll::<serde_json::Value>(${rustQuoted(key)}, spec).await?;`],
		["TypeScript", () => `import { PollClient } from "background-poll";\n\nconst client = new PollClient({ server: ${quoted(location.origin)}${scope ? `, scope: ${quoted(scope)}` : ""} });\nconst done = await client.backgroundPoll(${quoted(key)}, ${pretty});`],
	];
}
