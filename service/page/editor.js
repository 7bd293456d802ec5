// A text area with diagnostics in place: underlined where they are, listed below with what to do.
//
// The underlines are a copy of the text behind the area, in the same font and wrapping, of which only the marks are
// visible. A rich editor would be ten times the page.

import { Problem } from "./api.js";
import { button, foreign, h, put, visible } from "./dom.js";
import { unitOffset } from "./json.js";

/** An editor; `onchange(text)` is called shortly after each change, and once at the start. */
export function editor({ name, label, text, rows = 14, onchange, placeholder = "" }) {
	const marks = h("div", { class: "marks", "aria-hidden": "true" });
	const area = h("textarea", { name, rows, spellcheck: "false", autocapitalize: "off", autocomplete: "off", "aria-label": label, placeholder, "aria-describedby": `${name}-problems` });
	area.value = text;
	const problems = h("ul", { class: "problems", id: `${name}-problems`, "aria-live": "polite" });
	const element = h("div", "editor", h("div", "sheet", marks, area), problems);
	let timer;

	const mirror = (ranges = []) => {
		const parts = [];
		let at = 0;
		for (const { start, end, severity } of ranges) {
			if (start < at) continue;
			parts.push(area.value.slice(at, start), h("mark", { class: severity }, area.value.slice(start, end) || " "));
			at = end;
		}
		put(marks, ...parts, area.value.slice(at), "\n");
		marks.scrollTop = area.scrollTop;
	};
	area.addEventListener("scroll", () => ((marks.scrollTop = area.scrollTop), (marks.scrollLeft = area.scrollLeft)), { passive: true });
	area.addEventListener("input", () => {
		mirror();
		clearTimeout(timer);
		timer = setTimeout(() => onchange(area.value), 200);
	});
	area.addEventListener("keydown", (event) => {
		if (event.key === "Enter" && !event.shiftKey && !event.ctrlKey && !event.metaKey && !event.isComposing) {
			const before = area.value.slice(0, area.selectionStart);
			const indent = /([^\S\n]*)[^\n]*$/.exec(before)[1] + (/[[{]\s*$/.test(before) ? "  " : "");
			if (indent === "") return;
			event.preventDefault();
			// The old command keeps the history of undo.
			if (!document.execCommand("insertText", false, `\n${indent}`)) area.setRangeText(`\n${indent}`, area.selectionStart, area.selectionEnd, "end");
		}
	});
	mirror();

	return {
		element,
		area,
		get text() {
			return area.value;
		},
		set(value) {
			area.value = value;
			mirror();
			onchange(value);
		},
		/** Shows why the API refused `ofText`; what is no refusal is thrown again. Returns the number of errors. */
		refused(error, ofText) {
			if (!(error instanceof Problem)) throw error;
			const errors = error.diagnostics.length > 0 ? error.diagnostics : [{ severity: "error", message: error.message }];
			this.show(errors, ofText);
			return errors.filter(({ severity }) => severity === "error").length;
		},
		/** Shows diagnostics of the API; `ofText` is the text that they are about. */
		show(diagnostics, ofText) {
			if (ofText !== area.value) return;
			const placed = diagnostics.map((diagnostic) => {
				const range = diagnostic.span && { start: unitOffset(ofText, diagnostic.span.start), end: unitOffset(ofText, diagnostic.span.end), severity: diagnostic.severity };
				return { diagnostic, range };
			});
			mirror(placed.flatMap(({ range }) => (range ? [range] : [])).sort((one, other) => one.start - other.start));
			area.setAttribute("aria-invalid", String(diagnostics.some(({ severity }) => severity === "error")));
			put(problems, placed.map(({ diagnostic, range }) => h("li", { class: diagnostic.severity },
				button([h("strong", {}, diagnostic.severity), " ", diagnostic.line && h("span", "dim", `${diagnostic.line}:${diagnostic.column} `), diagnostic.pointer && [foreign(diagnostic.pointer, 120, { class: "mono" }), ": "], visible(diagnostic.message)], "", () => range && (area.focus(), area.setSelectionRange(range.start, range.end))),
				diagnostic.help && h("div", "help", visible(diagnostic.help)))));
		},
	};
}
