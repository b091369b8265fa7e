// The console in a real browser: every page in both themes and two sizes, triage from the keyboard,
// passkeys, what is live. Runs against the demo, or against a node (COVIGIL_URL, COVIGIL_LINK).
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { join } from "node:path";
import { axeSource, isDemo, output, signIn, startBrowser, startConsole, watch } from "./browser.mjs";

const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"];
const SIZES = { wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };

let served;
let browser;
let page;
let problems;

before(async () => {
  served = await startConsole();
  browser = await startBrowser();
  page = browser.context.pages()[0] ?? await browser.context.newPage();
  problems = watch(page);
  await signIn(page, served.links.ana);
});

after(async () => {
  await browser?.stop();
  served?.stop();
});

const open = (path) => page.goto(served.url + path);
const rows = () => page.locator("#rows > tr");
const lane = async (name) => Number((await page.locator(".lanes a", { hasText: name }).locator(".n").innerText()).replaceAll(",", ""));

async function theme(name) {
  await browser.context.addCookies([{ name: "theme", value: name, url: served.url }]);
}

// Something that makes an alert: the demo's own address, or a command of the caller's.
async function raise() {
  if (isDemo) { await fetch(served.url + "/demo/raise", { method: "POST" }); return; }
  const { execSync } = await import("node:child_process");
  execSync(process.env.COVIGIL_RAISE, { stdio: "inherit" });
}
const canRaise = isDemo || Boolean(process.env.COVIGIL_RAISE);

// What axe finds, and what it does not look for: that nothing is wider than the window.
async function check(name) {
  await page.evaluate(axeSource);
  const found = await page.evaluate((tags) => globalThis.axe.run(document, { runOnly: tags }), TAGS);
  const told = found.violations.map((v) => `${v.id}: ${v.help}\n  ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200)).join("\n  ")}`);
  assert.deepEqual(told, [], `${name}: axe`);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `${name}: ${wide} px wider than the window`);
}

async function firstAlert() {
  await open("/queue?lane=all&sort=risk");
  return (await page.locator("#rows .row-link").count()) ? page.locator("#rows .row-link").first().getAttribute("href") : undefined;
}

describe("pages", () => {
  const PAGES = {
    today: "/", queue: "/queue", "queue-empty": "/queue?q=nothing-has-this-name", "queue-closed": "/queue?lane=closed",
    search: "/search", "search-results": "/search?range=24h&q=", "search-table": "/search?range=all&q=*%20%7C%20top%20user.name", "search-error": "/search?q=%22open",
    rules: "/rules", health: "/health", "settings-own": "/settings", enrol: "/enrol", "settings-people": "/settings/people",
    "settings-tokens": "/settings/tokens", "settings-outputs": "/settings/outputs", "settings-record": "/settings/record", "not-found": "/no-such-page",
  };
  for (const [size, viewport] of Object.entries(SIZES)) for (const look of ["light", "dark"]) {
    test(`all pages, ${size}, ${look}`, async () => {
      await theme(look);
      await page.setViewportSize(viewport);
      const alert = await firstAlert();
      const pages = { ...PAGES, ...(alert ? { alert } : {}), ...(isDemo ? { entity: "/entities/host?name=dc-01", event: "/events/journal/999999", rule: "/rules/one?id=9d1f4a52-6c0b-4f7e-9c55-0f6f6f1f0a11" } : {}) };
      for (const [name, path] of Object.entries(pages)) {
        await open(path);
        if (path.startsWith("/search?")) await page.waitForSelector('#search[data-state="done"]');
        await page.waitForTimeout(150);
        await page.screenshot({ path: join(output, `${name}-${size}-${look}.png`), fullPage: size === "phone" && name === "alert" });
        await check(`${name} ${size} ${look}`);
      }
    });
  }

  test("before anyone has signed in", async () => {
    const outside = await browser.context.browser()?.newContext() ?? browser.context;
    const door = await outside.newPage();
    await door.goto(served.url + "/sign-in");
    await door.screenshot({ path: join(output, "sign-in.png") });
    await door.evaluate(axeSource);
    const found = await door.evaluate((tags) => globalThis.axe.run(document, { runOnly: tags }), TAGS);
    assert.deepEqual(found.violations.map((v) => v.id), []);
    await door.close();
  });
});

describe("the queue from the keyboard", () => {
  test("next, open, close, and back with the browser", async (t) => {
    await page.setViewportSize(SIZES.wide);
    await theme("light");
    await open("/queue?lane=open&sort=risk");
    if (await rows().count() < 3) { t.skip("fewer than three open alerts"); return; }
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    assert.equal(await page.locator("#rows > tr.current").evaluate((row) => [...row.parentNode.children].indexOf(row)), 1);
    await page.keyboard.press("k");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#flyout article");
    assert.match(page.url(), /\/alerts\/[0-9a-f]{32}\?/);
    await page.screenshot({ path: join(output, "flyout-light.png") });
    await check("flyout");
    const first = await page.locator("#flyout article").getAttribute("data-id");
    await page.keyboard.press("j");
    await page.waitForFunction((id) => document.querySelector("#flyout article")?.dataset.id !== id, first);
    await page.keyboard.press("Escape");
    await page.waitForURL(/\/queue\?/);
    assert.ok(await page.locator("#flyout").isHidden());
    await page.keyboard.press("Enter");
    await page.waitForSelector("#flyout article");
    await page.goBack();
    await page.waitForFunction(() => document.querySelector("#flyout").hidden);
  });

  test("one letter closes an alert, and it can be reopened", async (t) => {
    await open("/queue?lane=new&sort=risk");
    if (!await rows().count()) { t.skip("no new alert"); return; }
    const [fresh, closed] = [await lane("New"), await lane("Closed")];
    await page.keyboard.press("j");
    const id = await page.locator("#rows > tr.current").getAttribute("data-id");
    await page.keyboard.press("b");
    await page.getByText("Closed as benign.").waitFor();
    await page.waitForFunction((n) => Number(document.querySelector(".lanes a:nth-child(2) .n").textContent.replaceAll(",", "")) === n, fresh - 1);
    assert.equal(await lane("Closed"), closed + 1);
    // The row stays where it was until the queue is shown anew.
    assert.ok(await page.locator(`tr[data-id="${id}"]`).isVisible());
    await page.getByRole("button", { name: "Reopen" }).click();
    await page.waitForFunction((n) => Number(document.querySelector(".lanes a:nth-child(4) .n").textContent.replaceAll(",", "")) === n, closed);
    await open(`/alerts/${id}`);
    const history = await page.locator(".alert-body > section").last().innerText();
    assert.match(history, /closed as benign/);
    assert.match(history, /in progress/);
  });

  test("a bulk action names the exact count before and after", async (t) => {
    await open("/queue?lane=open&severity=medium");
    const total = Number(await page.locator("#queue").getAttribute("data-total"));
    if (total < 2) { t.skip("fewer than two open alerts of that severity"); return; }
    await page.keyboard.press("j");
    await page.keyboard.press("x");
    await page.keyboard.press("j");
    await page.keyboard.press("x");
    assert.equal(await page.locator("#bulk-count").innerText(), "2 selected");
    await page.screenshot({ path: join(output, "bulk.png") });
    await page.keyboard.press("d");
    await page.getByRole("heading", { name: "Close 2 alerts as duplicate?" }).waitFor();
    await page.screenshot({ path: join(output, "bulk-confirm.png") });
    await check("bulk confirmation");
    await page.getByRole("button", { name: "Close 2 alerts as duplicate" }).click();
    await page.getByText("2 of 2 alerts closed as duplicate.").waitFor();
    await page.waitForFunction((n) => Number(document.querySelector("#queue").dataset.total) === n, total - 2);
  });

  test("a note and the entity's context are saved from the flyout", async (t) => {
    await open("/queue?lane=open&sort=risk");
    if (!await rows().count()) { t.skip("no open alert"); return; }
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#flyout article");
    await page.keyboard.press("m");
    await page.keyboard.type("Seen <b>twice</b> this week; asked the owner.");
    await page.getByRole("button", { name: "Add note" }).click();
    await page.locator(".notes").getByText("Seen <b>twice</b> this week; asked the owner.").waitFor();
    const card = page.locator("#flyout .entity-card").first();
    if (await card.count()) {
      await card.locator("summary").click();
      await card.getByLabel("Criticality").selectOption("critical");
      await card.getByRole("button", { name: "Save" }).click();
      await page.getByText("Context saved.").waitFor();
      await page.waitForFunction(() => document.querySelector("#flyout .entity-card .tag")?.textContent === "critical");
    }
    await page.keyboard.press("Escape");
  });

  test("help, palette, and shortcuts that can be turned off", async () => {
    await open("/queue");
    await page.keyboard.press("?");
    await page.getByRole("heading", { name: "Keyboard shortcuts" }).waitFor();
    await check("help");
    await page.screenshot({ path: join(output, "help.png") });
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+k");
    await page.keyboard.type("heal");
    await page.screenshot({ path: join(output, "palette.png") });
    await check("palette");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/health$/);
    await open("/settings");
    await page.getByLabel("Keyboard shortcuts by single letters").uncheck();
    await open("/queue");
    await page.keyboard.press("j");
    assert.equal(await page.locator("#rows > tr.current").count(), 0);
    await page.evaluate(() => localStorage.removeItem("shortcuts"));
  });
});

describe("live", () => {
  test("a new alert waits behind a pill within a second, and nothing moves", { skip: !canRaise && "COVIGIL_RAISE is not given" }, async (t) => {
    await page.setViewportSize(SIZES.wide);
    await open("/queue?lane=open");
    await page.waitForFunction(() => document.documentElement.dataset.live === "yes");
    const before = await rows().count();
    if (!before) { t.skip("the queue is empty: rows appear at once"); return; }
    const top = await rows().first().getAttribute("data-id");
    const started = Date.now();
    await raise();
    await page.locator("#news", { hasText: "1 new" }).waitFor();
    t.diagnostic(`alert to pill: ${Date.now() - started} ms`);
    assert.equal(await rows().first().getAttribute("data-id"), top);
    await page.screenshot({ path: join(output, "news.png") });
    await page.keyboard.press("n");
    await page.waitForFunction((id) => document.querySelector("#rows > tr")?.dataset.id !== id, top);
    assert.ok(await page.locator("#news").isHidden());
  });
});

describe("search", () => {
  test("rows, then histogram and facets; a row shows all fields; values lead on", async (t) => {
    await page.setViewportSize(SIZES.wide);
    await open("/search?range=24h");
    await page.waitForSelector('#search[data-state="done"]');
    if (!await page.locator("tr.event-row").count()) { t.skip("no event in the last 24 hours"); return; }
    await page.waitForSelector("#hist");
    await page.waitForSelector("#facets button.value");
    await page.locator("button.expand").first().click();
    await page.waitForSelector(".detail-row .event");
    await page.screenshot({ path: join(output, "search-row.png") });
    await check("search with an open row");
    await page.locator("#facets button.value").first().click();
    await page.getByRole("menu").waitFor();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.waitForURL(/q=NOT/);
    await page.waitForSelector('#search[data-state="done"]');
  });

  test("the live tail shows an event as it comes", { skip: !isDemo && "needs the demo" }, async () => {
    await open("/search?range=15m");
    await page.waitForSelector('#search[data-state="done"]');
    await page.getByRole("button", { name: "Live tail" }).click();
    await page.getByText("Waiting for events").waitFor();
    await page.waitForTimeout(300);
    await fetch(served.url + "/demo/hear", { method: "POST" });
    await page.getByText("Live: 1 event").waitFor();
    assert.equal(await page.locator("tr.event-row").count(), 1);
    await page.getByRole("button", { name: "Live tail" }).click();
    await page.getByText("Live tail stopped.").waitFor();
  });

  test("zoom from the keyboard", async (t) => {
    await open("/search?range=24h");
    await page.waitForSelector('#search[data-state="done"]');
    if (!await page.locator("tr.event-row").count()) { t.skip("no event in the last 24 hours"); return; }
    await page.waitForSelector("#hist");
    await page.locator("#hist").focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Shift+ArrowRight");
    await page.keyboard.press("Shift+ArrowRight");
    await page.keyboard.press("Enter");
    await page.waitForURL(/from=.*to=/);
    assert.equal(await page.locator("#range").inputValue(), "custom");
    assert.notEqual(await page.locator("#from-local").inputValue(), "");
  });

  test("completion", async (t) => {
    await open("/search");
    await page.locator("#query").fill("");
    await page.keyboard.type("user.n");
    await page.waitForSelector("#suggestions li", { timeout: 5000 }).catch(() => {});
    if (!await page.locator("#suggestions li").count()) { t.skip("nothing is offered for user.n"); return; }
    await page.keyboard.press("ArrowDown");
    await check("suggestions");
    await page.keyboard.press("Enter");
    assert.match(await page.locator("#query").inputValue(), /^user\.name/);
  });

  test("a query that cannot be read says why", async () => {
    await open("/search?q=%22open");
    await page.waitForSelector('#search[data-state="done"]');
    assert.ok((await page.locator("#search-error").innerText()).length > 5);
  });
});

describe("hostile text", () => {
  test("nothing that a log says has run, loaded or navigated", { skip: !isDemo && "needs the demo's sample" }, async () => {
    let dialogs = 0;
    const outside = [];
    page.on("dialog", (dialog) => { dialogs += 1; dialog.dismiss(); });
    page.on("request", (request) => { if (!request.url().startsWith(served.url)) outside.push(request.url()); });
    for (const path of ["/queue?lane=all&q=onerror", "/search?q=onerror&range=all", "/events/journal/999999", "/rules", "/settings/record"]) {
      await open(path);
      await page.waitForTimeout(300);
    }
    await open("/queue?lane=all&q=onerror");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#flyout article");
    assert.match(await page.locator("#flyout").innerText(), /⟨U\+202E⟩gpj\.exe/);
    assert.equal(await page.locator("#flyout img").count(), 0);
    await page.screenshot({ path: join(output, "hostile-flyout.png") });
    assert.equal(dialogs, 0);
    assert.deepEqual(outside, []);
  });
});

describe("passkeys", () => {
  test("enrol, sign out, sign in without a name", async (t) => {
    if (new URL(served.url).hostname !== "localhost" && !served.url.startsWith("https:")) { t.skip("passkeys need localhost or https"); return; }
    const devtools = await browser.context.newCDPSession(page);
    await devtools.send("WebAuthn.enable");
    await devtools.send("WebAuthn.addVirtualAuthenticator", { options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } });
    await open("/enrol");
    await page.getByLabel("Name of this passkey").fill("Test key");
    await page.getByRole("button", { name: "Add a passkey" }).click();
    await page.waitForURL(/\/settings$/);
    await page.getByText("Test key").first().waitFor();
    await page.locator("details.menu summary").click();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.waitForURL(/\/sign-in/);
    await open("/queue");
    assert.match(page.url(), /\/sign-in\?next=/);
    await page.getByRole("button", { name: "Sign in with a passkey" }).click();
    await page.waitForURL(/\/queue$/);
    assert.equal(await page.locator("main > .banner").count(), 0);
  });
});

test("the pages reported no problem of their own", () => {
  assert.deepEqual(problems, []);
});
