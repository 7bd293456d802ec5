// The page's frame: which view a URL names, keys, the API key, and whether the stream is live.

import * as api from "./api.js";
import { h, notice } from "./dom.js";
import { showList } from "./list.js";
import { showPoll } from "./poll.js";
import { showWebhooks } from "./webhooks.js";
import { showWorkshop } from "./workshop.js";

const main = document.getElementById("main");
let view;

const VIEWS = { new: [showWorkshop, "New poll"], playground: [showWorkshop, "Playground"], webhooks: [showWebhooks, "Webhooks"] };

function viewOf(query) {
	if (query.has("poll")) return ["poll", showPoll];
	const name = query.get("view");
	return Object.hasOwn(VIEWS, name) ? [name, ...VIEWS[name]] : ["list", showList, "Polls"];
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
	const [name, open, title] = viewOf(query);
	for (const link of document.querySelectorAll("nav [data-page]")) link.ariaCurrent = link.dataset.page === name ? "page" : null;
	document.body.dataset.view = name;
	document.getElementById("live").hidden = name in VIEWS;
	const active = keepFocus ? [document.activeElement?.name, document.activeElement?.selectionStart] : [];
	view = open(main, query, { go, live, name });
	document.title = view.title ?? title;
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
	const link = event.target.closest?.('a[href="/"], a[href^="/?"]');
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
	const target = { g: "/", n: "/?view=new", p: "/?view=playground", w: "/?view=webhooks" }[event.key];
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
		const dialog = h("dialog", "ask",
			h("form", { method: "dialog" },
				h("h2", {}, refused ? "This key was refused" : "This server asks for a key"),
				h("p", "dim", "It is kept until this tab is closed, and sent to this server only."),
				input,
				h("div", "buttons", h("button", { class: "primary", value: "use" }, "Use this key"), h("button", { value: "no", type: "submit" }, "Cancel"))));
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
keyButton.addEventListener("click", () => {
	api.setKey();
	location.assign("/");
});
api.onKeyNeeded(ask);

show();
