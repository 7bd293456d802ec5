// The page in a real browser, against a real service. A violation of the content policy, an error in a script, or a dialog
// that no test expects fails the test in which it happens.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { quick, startJobs, startService } from "../harness.mjs";

const CHROMIUM = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const HOSTILE = `<script>document.title='owned'</script>"><img src=x onerror=alert(1)>\u202Egpj.exe`;
const ready = new Set();

let service;
let jobs;
let browser;

before(async () => {
  jobs = await startJobs((path, number) => {
    if (path.startsWith("/receiver")) return [ready.has(path) ? 204 : path === "/receiver-gone" ? 410 : 500, ""];
    if (path.startsWith("/done")) return [200, '{"status":"SUCCESS"}'];
    if (path.startsWith("/when-ready")) return [200, JSON.stringify({ status: ready.has(path) ? "SUCCESS" : "RUNNING", progress: number })];
    if (path.startsWith("/hostile")) return [ready.has(path) ? 200 : 202, HOSTILE + "A".repeat(1 << 20), { "content-type": "text/html", "x-hostile": "<b>header</b>" }];
    return [200, '{"status":"RUNNING"}'];
  });
  process.env.HOOK = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
  service = await startService({ args: ["--unbounded", "--allow-secret", `env:HOOK@${jobs.url}`] });
  browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
});
after(async () => {
  await browser?.close();
  jobs?.stop();
  await service?.remove();
});

/** A tab that fails its test for what must never happen. */
async function open(context, path, options = {}, server = service.server) {
  const page = await browser.newPage({ viewport: { width: 1100, height: 800 }, ...options });
  page.setDefaultTimeout(8000);
  const wrong = [];
  const elsewhere = (url) => !url.startsWith(server) && !url.startsWith("data:") && !url.startsWith("blob:");
  page.on("pageerror", (error) => wrong.push(error.stack));
  page.on("dialog", (dialog) => (wrong.push(`a dialog: ${dialog.message()}`), dialog.dismiss()));
  page.on("request", (request) => elsewhere(request.url()) && wrong.push(`a request to ${request.url()}`));
  page.on("console", (message) => /Content Security Policy|Trusted/i.test(message.text()) && wrong.push(message.text()));
  await page.addInitScript(() => addEventListener("securitypolicyviolation", (event) => console.error(`Content Security Policy: ${event.violatedDirective} ${event.blockedURI}`)));
  await page.goto(server + path);
  context.after(async () => {
    await page.close();
    assert.deepEqual(wrong, []);
  });
  return page;
}

const put = async (key, spec, scope) => {
  const at = `${service.server}/v1/${scope ? `scopes/${encodeURIComponent(scope)}/` : ""}polls/${encodeURIComponent(key)}`;
  const response = await fetch(at, { method: "PUT", body: JSON.stringify(spec), headers: { "content-type": "application/json" } });
  assert.ok(response.ok, await response.text());
};
const shows = (page, selector, text) => page.locator(selector, { hasText: text }).first().waitFor();

test("all files of the page are below 100 kB", () => {
  const folder = new URL("../../page/", import.meta.url);
  const sizes = readdirSync(folder).map((name) => statSync(new URL(name, folder)).size);
  assert.ok(sizes.reduce((sum, size) => sum + size, 0) < 100_000, `${sizes}`);
});

test("an empty service shows three commands to copy", async (context) => {
  const page = await open(context, "/");
  await shows(page, ".big", "No polls yet");
  assert.equal(await page.locator(".steps pre").count(), 3);
  assert.match(await page.locator(".steps pre").first().textContent(), new RegExp(`curl -X PUT ${service.server}/v1/polls/first`));
});

test("a poll is written, created, and seen to finish without a reload", async (context) => {
  const page = await open(context, "/?view=new");
  await page.fill("input[name=key]", "export-42");
  await page.fill("textarea[name=spec]", JSON.stringify(quick(`${jobs.url}/when-ready`), null, 2));
  await shows(page, ".preview", "valid");
  await page.fill("textarea[name=event]", '{"status": "SUCCESS"}');
  await shows(page, ".result .verdict", "match, 1 of 1 condition holds");
  await page.click("button[type=submit]");
  await shows(page, ".badge", "open");
  await page.evaluate(() => (window.sameDocument = true));
  await shows(page, ".tree", '"RUNNING"');
  ready.add("/when-ready");
  await shows(page, ".badge", "matched");
  await shows(page, ".sentence", "Matched after");
  await shows(page, "pre.body", '"SUCCESS"');
  assert.equal(await page.evaluate(() => window.sameDocument), true);
  assert.ok((await page.locator(".timeline .bar.matched").count()) >= 1);
});

test("a poll is cancelled, and run again", async (context) => {
  await put("to-cancel", quick(`${jobs.url}/never`, { interval: 1 }), "run/1");
  const page = await open(context, "/?poll=to-cancel&in=run%2F1");
  await shows(page, ".badge", "open");
  await page.click("button.danger");
  await shows(page, ".badge", "cancelled");
  await page.getByRole("button", { name: "Run again" }).click();
  await shows(page, ".badge", "open");
});

test("mistakes are shown where they are", async (context) => {
  const page = await open(context, "/?view=new");
  const text = '{\n  "url": "http://127.0.0.1/ü😀",\n  "intervl": 10\n}';
  await page.fill("textarea[name=spec]", text);
  await shows(page, ".problems .help", 'did you mean "interval"?');
  assert.equal(await page.locator(".marks mark").first().textContent(), '"intervl"');
  await page.locator(".problems button").first().click();
  const chosen = await page.$eval("textarea[name=spec]", (area) => area.value.slice(area.selectionStart, area.selectionEnd));
  assert.equal(chosen, '"intervl"');
});

test("the playground explains, and converts other dialects", async (context) => {
  const page = await open(context, "/?view=playground");
  await page.fill("textarea[name=filter]", '{"detail": {"size": [{"numeric": [">", 5]}]}}');
  await page.selectOption("select[name=dialect]", "event-bridge");
  await page.fill("textarea[name=event]", '{"detail": {"size": 3}}');
  await shows(page, ".tree .missed", "detail.size");
  await page.getByRole("button", { name: "Convert to native" }).click();
  await shows(page, ".problems .help", "assuming flat arrays");
  // It stays when the event is judged anew.
  await page.fill("textarea[name=event]", '{"detail": {"size": 4}}');
  await shows(page, ".tree", "is 4");
  await shows(page, ".problems .help", "assuming flat arrays");
  await page.selectOption("select[name=dialect]", "trigger-dev");
  await page.fill("textarea[name=filter]", '{"size":[{"$gt":5}]}');
  await page.getByRole("button", { name: "Convert to native" }).click();
  await page.waitForFunction(() => document.querySelector("select[name=dialect]").value === "native");
  await page.fill("textarea[name=event]", '{"size": 3}');
  await shows(page, ".result .verdict", "no match");
});

test("hostile text is text", async (context) => {
  // Slow enough that what is clicked on stays.
  const spec = quick(`${jobs.url}/hostile`, { interval: 2, responseFilter: { status: [200] } });
  await put(HOSTILE, spec, HOSTILE);
  await put("big", spec);
  await jobs.asked("/hostile", 2);
  const page = await open(context, `/?${new URLSearchParams({ poll: HOSTILE, in: HOSTILE })}`);
  await shows(page, "h1", "<script>document.title='owned'</script>");
  await shows(page, "h1", "⟨U+202E⟩gpj.exe");
  await shows(page, "pre.body", "<script>");
  await page.locator(".headers summary").click();
  await shows(page, ".headers dd", "<b>header</b>");
  ready.add("/hostile");
  await shows(page, ".badge", "matched");
  await shows(page, ".bodybox h3", "the first");
  await page.goto(`${service.server}/`);
  await shows(page, ".key", "<script>document.title");
  assert.notEqual(await page.title(), "owned");
  assert.equal(await page.locator("main img, main script").count(), 0);
  assert.ok(!(await page.locator("main").textContent()).includes("\u202E"));
  await page.getByRole("link", { name: "big" }).first().click();
  await shows(page, "pre.body", "AAAA");
  const shown = await page.locator("pre.body").first().evaluate((body) => body.textContent.length);
  assert.ok(shown > 4000 && shown < 100_000, `${shown} characters of 1 MB are shown`);
});

test("the list is live, and its filters live in the URL", async (context) => {
  const page = await open(context, "/?prefix=live-");
  await shows(page, ".empty", "No poll passes these filters");
  await put("live-1", quick(`${jobs.url}/when-ready-live`, { responseFilter: { body: { status: ["SUCCESS"], progress: [{ $exists: true }] } } }));
  await put("other-1", quick(`${jobs.url}/never`));
  await shows(page, ".row .key", "live-1");
  await shows(page, ".row .note", 'status is "RUNNING"');
  await shows(page, ".row .holds", "2 of 3");
  assert.equal(await page.locator(".row").count(), 1);
  ready.add("/when-ready-live");
  await shows(page, ".row .word", "matched");
  await page.getByRole("button", { name: "Open" }).click();
  await shows(page, ".empty", "No poll passes");
  assert.equal(new URL(page.url()).search, "?prefix=live-&state=open");
  await page.goBack();
  await shows(page, ".row .word", "matched");
});

test("webhooks that fail are counted on the list, listed with why, and sent again", async (context) => {
  const onOutcome = (path) => ({ onOutcome: { url: jobs.url + path, secret: { $secret: "env:HOOK" } } });
  const page = await open(context, "/");
  await shows(page, "#live", "live");
  assert.equal(await page.locator("#failing").isVisible(), false);
  await put(HOSTILE, quick(`${jobs.url}/done`, onOutcome("/receiver-gone")), "run/1");
  await put("unlucky", quick(`${jobs.url}/done`, onOutcome("/receiver-500")));
  await put("fine", quick(`${jobs.url}/done`, onOutcome("/receiver-ok")));
  ready.add("/receiver-ok");
  await jobs.asked("/receiver-gone", 1);
  await jobs.asked("/receiver-500", 1);
  // Without a reload, within the period of the list.
  await page.locator("#failing", { hasText: "2 failing" }).waitFor({ timeout: 15_000 });
  await page.getByRole("link", { name: "Webhooks" }).click();
  const row = (key) => page.locator(".delivery", { hasText: key });
  await row("unlucky").locator(".word", { hasText: "failing" }).waitFor();
  await row("unlucky").locator(".note", { hasText: "the receiver answered 500" }).waitFor();
  await row("<script>").locator(".word", { hasText: "gave up" }).waitFor();
  assert.equal(await page.locator(".delivery").count(), 2);
  assert.equal(await page.locator(".delivery img").count(), 0);

  ready.add("/receiver-gone");
  await row("<script>").getByRole("button", { name: "Send again" }).click();
  await row("<script>").waitFor({ state: "detached" });
  await page.locator("#failing", { hasText: "1 failing" }).waitFor();
  // The second try is made by itself, after five seconds, and the third after five minutes: until then nothing changes.
  await jobs.asked("/receiver-500", 2);
  await row("unlucky").getByRole("link").click();
  await shows(page, ".facts dd", "the receiver answered 500");
  ready.add("/receiver-500");
  await page.getByRole("button", { name: "Send again" }).click();
  await shows(page, ".facts dd", "delivered");
  // On the page of a poll, too.
  await page.locator("#failing").waitFor({ state: "hidden", timeout: 15_000 });
  await page.keyboard.press("w");
  await shows(page, ".deliveries", "No webhook fails");
  await page.getByRole("button", { name: "Delivered" }).click();
  await row("fine").waitFor();
  assert.equal(new URL(page.url()).search, "?view=webhooks&state=delivered");
  assert.equal(await page.locator(".delivery").count(), 3);
});

test("the keyboard is enough", async (context) => {
  for (let number = 0; number < 5; number += 1) await put(`keys-${number}`, quick(`${jobs.url}/never`));
  const page = await open(context, "/?prefix=keys-");
  await shows(page, ".row .key", "keys-4");
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.name), "prefix");
  await page.keyboard.press("Escape");
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await shows(page, "h1", "keys-3");
  await page.keyboard.press("Escape");
  await shows(page, ".row .key", "keys-4");
});

test("a service with keys asks for one", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "background-poll-keys-"));
  const file = join(folder, "keys.toml");
  writeFileSync(file, `[[key]]\nname = "reader"\nsha256 = "${createHash("sha256").update("right").digest("hex")}"\nrights = ["read"]\n`);
  const guarded = await startService({ folder, args: ["--unbounded", "--keys", file] });
  context.after(() => guarded.remove());
  const page = await open(context, "/", {}, guarded.server);
  await shows(page, "dialog h2", "asks for a key");
  await page.fill("dialog input", "wrong");
  await page.keyboard.press("Enter");
  await shows(page, "dialog h2", "was refused");
  await page.fill("dialog input", "right");
  await page.getByRole("button", { name: "Use this key" }).click();
  await shows(page, ".big", "No polls yet");
  await shows(page, "#live", "live");
  await page.getByRole("button", { name: "Forget key" }).click();
  await shows(page, "dialog h2", "asks for a key");
});

test("a long list keeps few rows in the document", async (context) => {
  const count = 1000;
  const keys = Array.from({ length: count }, (_, number) => `many-${number}`);
  const spec = { url: `${jobs.url}/never`, interval: 300, timeout: 3600, responseFilter: { body: { status: ["SUCCESS"] } } };
  const worker = async () => {
    for (let key = keys.pop(); key; key = keys.pop()) await put(key, spec);
  };
  await Promise.all(Array.from({ length: 32 }, worker));
  const page = await open(context, "/?prefix=many-");
  await shows(page, ".count", "200 polls loaded, more below");
  const end = () => page.locator(".scroller").evaluate((scroller) => (scroller.scrollTop = scroller.scrollHeight));
  for (let pages = 0; pages < 8; pages += 1) {
    await end();
    if ((await page.locator(".count").textContent()) === "1,000 polls") break;
    await page.waitForFunction((before) => document.querySelector(".rows").offsetHeight > before, await page.locator(".rows").evaluate((rows) => rows.offsetHeight), { timeout: 4000 }).catch(() => {});
  }
  await shows(page, ".count", "1,000 polls");
  assert.ok((await page.locator(".row").count()) < 60);
});

test("nothing overflows at 400 pixels, and the rules of accessibility hold, light and dark", async (context) => {
  const axe = readFileSync(new URL(import.meta.resolve("axe-core/axe.min.js")), "utf8");
  for (const colorScheme of ["light", "dark"]) {
    for (const [path, there] of [["/", ".row"], ["/?poll=export-42", ".tree, pre.body"], ["/?view=new", ".preview .good, .preview .bad"], ["/?view=playground", ".tree"], ["/?view=webhooks&state=all", ".delivery"]]) {
      const page = await open(context, path, { viewport: { width: 400, height: 800 }, colorScheme });
      await page.locator(there).first().waitFor();
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(over <= 0, `${path} is ${over} pixels too wide`);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] }));
      const found = violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html, failureSummary }) => `${html.slice(0, 120)} ${failureSummary}`).join(" | ")}`);
      assert.deepEqual(found, [], `${path} in ${colorScheme}`);
    }
  }
});
