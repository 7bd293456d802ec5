// The page's frame: which view a URL names, keys, the API key, and whether the stream is live.

import * as api from "./api.js";
import { h, notice } from "./dom.js";
import { showList } from "./list.js";
import { showPoll } from "./poll.js";
import { showWorkshop } from "./workshop.js";

const main = document.getElementById("main");
let view;

function viewOf(query) {
	if (query.has("poll")) return ["poll", showPoll];
	const name = query.get("view");
	if (name === "new" || name === "playground") return [name, showWorkshop];
	return ["list", showList];
}

function live(is) {
	const place = document.getElementById("live");
	place.dataset.live = is ? "yes" : "no";
	place.textContent = is ? "live" : "reconnecting";
}

function show({ keepFocus = false } = {}) {
	view?.leave();
	notice();
	const query = new URLSearchParams(location.search);
	const [name, open] = viewOf(query);
	for (const link of document.querySelectorAll("nav [data-page]")) {
		if (link.dataset.page === name) link.setAttribute("aria-current", "page");
		else link.removeAttribute("aria-current");
	}
	document.body.dataset.view = name;
	document.getElementById("live").hidden = name === "new" || name === "playground";
	const active = keepFocus ? [document.activeElement?.name, document.activeElement?.selectionStart] : [];
	view = open(main, query, { go, live, name });
	document.title = view.title ?? (name === "list" ? "Polls" : name === "new" ? "New poll" : "Playground");
	const again = active[0] && main.querySelector(`[name="${CSS.escape(active[0])}"]`);
	if (again) {
		again.focus();
		if (active[1] !== undefined && active[1] !== null) again.setSelectionRange(active[1], active[1]);
	} else {
		main.focus({ preventScroll: true });
	}
}

function go(href, options = {}) {
	if (options.replace) history.replaceState(null, "", href);
	else history.pushState(null, "", href);
	show(options);
}

addEventListener("popstate", () => show());
document.addEventListener("click", (event) => {
	const link = event.target.closest?.("a[data-nav]");
	if (!link || event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
	event.preventDefault();
	go(link.getAttribute("href"));
});
document.addEventListener("keydown", (event) => {
	if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
	const typing = event.target.closest?.("input, textarea, select, dialog");
	if (event.key === "Escape" && typing && !event.target.closest("dialog")) return void event.target.blur();
	if (typing) return;
	if (view.key?.(event)) return void event.preventDefault();
	const target = { g: "/", n: "/?view=new", p: "/?view=playground" }[event.key];
	if (target) {
		event.preventDefault();
		go(target);
	} else if (event.key === "Escape" && document.body.dataset.view !== "list") {
		history.length > 1 ? history.back() : go("/");
	}
});

// The key of the API. One question at a time, however many requests were refused.
let question;
function ask(refused) {
	question ??= new Promise((resolve) => {
		const input = h("input", { type: "password", autocomplete: "off", "aria-label": "API key" });
		const dialog = h("dialog", { class: "ask" },
			h("form", { method: "dialog" },
				h("h2", {}, refused ? "This key was refused" : "This server asks for a key"),
				h("p", { class: "dim" }, "It is kept until this tab is closed, and sent to this server only."),
				input,
				h("div", { class: "buttons" }, h("button", { class: "primary", value: "use" }, "Use this key"), h("button", { value: "no", type: "submit" }, "Cancel"))));
		dialog.addEventListener("close", () => {
			dialog.remove();
			question = undefined;
			resolve(dialog.returnValue === "use" ? input.value.trim() : undefined);
			keyButton.hidden = !api.hasKey() && !input.value;
		});
		document.body.append(dialog);
		dialog.showModal();
	});
	return question;
}
const keyButton = document.getElementById("key");
keyButton.hidden = !api.hasKey();
keyButton.textContent = "Forget key";
keyButton.addEventListener("click", () => {
	api.setKey();
	location.assign("/");
});
api.onKeyNeeded(ask);

show();
