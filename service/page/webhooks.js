// Webhooks: which receivers lack an outcome and why, and sending it again. There are no events of deliveries, so the list is
// read every few seconds.

import * as api from "./api.js";
import { action, button, chips, foreign, h, hrefOf, nameOf, notice, put, stateWords } from "./dom.js";
import { ago, plural, stateClass, until, webhookState } from "./format.js";

const CHIPS = [["Failing", ""], ["Pending", "pending"], ["Delivered", "delivered"], ["All", "all"]];
const STEP = 100;
const EMPTY = { "": "No webhook fails.", pending: "No webhook waits for its receiver.", delivered: "No webhook was delivered yet." };

/** Shows in the navigation how many webhooks fail. */
export async function countFailing(signal) {
	const { length } = (await api.webhooks({ state: "failing", limit: 10 }, signal)).webhooks;
	const place = document.getElementById("failing");
	place.hidden = length === 0;
	put(place, length > 9 ? "9+" : length, h("span", "unseen", " failing"));
}

/** Shows the deliveries in `main`; returns what leaves it. */
export function showWebhooks(main, query, { go }) {
	const leave = new AbortController();
	const state = query.get("state") ?? "";
	const list = h("ul", { class: "deliveries", "aria-label": "Webhooks, newest first" });
	const more = button("Show more", "", () => ((most += STEP), read()), { hidden: true });
	const all = action("Send all again", "", "Sent again", () => sendAgain(...found));
	let most = STEP;
	let found = [];
	let whens = [];
	let before;
	put(main,
		h("div", "cardtop", h("h1", {}, "Webhooks"),
			chips(CHIPS, (value) => value === state, (value) => go(`/?view=webhooks${value && `&state=${value}`}`)),
			h("span", "grow"), all),
		list, more);

	async function read() {
		try {
			const { webhooks, next } = await api.webhooks({ limit: Math.min(most, 1000), ...(state !== "all" && { state: state || "failing" }) }, leave.signal);
			found = webhooks;
			more.hidden = !next || most >= 1000;
			await countFailing(leave.signal);
			draw();
		} catch (error) {
			if (!leave.signal.aborted) notice(error.message);
		}
	}

	function draw() {
		all.hidden = state !== "" || found.length < 2;
		// What is shown stays while nothing of it has changed: a reader may be about to press a button.
		const now = JSON.stringify(found);
		if (now !== before) show();
		before = now;
		for (const [place, delivery] of whens) place.textContent = whenOf(delivery);
	}

	function show() {
		const focused = [...list.querySelectorAll("a, button")].indexOf(document.activeElement);
		whens = [];
		put(list, found.length > 0 ? found.map(item) : h("li", "dim pad", EMPTY[state] ?? "No poll with a webhook has ended."));
		if (focused >= 0) list.querySelectorAll("a, button")[focused]?.focus();
	}

	const item = (delivery) => {
		const { attempts, receiver } = delivery;
		const word = webhookState(delivery);
		const when = h("span", "when");
		whens.push([when, delivery]);
		return h("li", `delivery ${stateClass(word)}`,
			stateWords(word),
			h("span", "what",
				h("a", { class: "name", href: hrefOf(delivery) }, nameOf(delivery)),
				foreign(attempts.at(-1)?.error ?? "", 300, { class: "note" })),
			foreign(receiver.replace(/^https?:\/\//, ""), 80, { class: "origin", title: receiver }),
			when,
			action("Send again", "", "Sent again", () => sendAgain(delivery)));
	};

	async function sendAgain(...deliveries) {
		try {
			for (const { scope, key } of deliveries) await api.resend(scope, key);
		} finally {
			await read();
		}
	}

	read();
	const timer = setInterval(read, 3000);
	return {
		leave() {
			leave.abort();
			clearInterval(timer);
		},
	};
}

const whenOf = ({ due, attempts, endedAt, tries }) => `${plural(tries, "try", "tries")}, ${due ? `next ${until(due)}` : ago(attempts.at(-1)?.at ?? endedAt)}`;
