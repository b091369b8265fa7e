// The queue from the keyboard: rows, flyout, dispositions, selection, bulk actions, new rows.
import htmx from "htmx.org";
import { all, ask, encodeForm, fragment, one, shortcutsOn, toast, typing } from "./dom.js";
import { openDialog } from "./dialogs.js";
import { calmly, onLive } from "./live.js";
import { showTimes } from "./times.js";

const WORDS = { a: "take", t: "true_positive", b: "benign", f: "false_positive", d: "duplicate", r: "reopen" };
const DONE = { take: "Assigned to you.", true_positive: "Closed as true positive.", benign: "Closed as benign.", false_positive: "Closed as false positive.", duplicate: "Closed as duplicate.", reopen: "Reopened." };

const queue = one("#queue");
const flyout = one("#flyout");
const analyst = queue?.hasAttribute("data-analyst");
let openId;
let whole = false;

const rows = () => all("#rows > tr");
const rowOf = (id) => rows().find((row) => row.dataset.id === id);
const current = () => one("#rows > tr.current");
const selected = () => all("#rows > tr.selected");

function moveTo(row, focus = true) {
  if (!row) return;
  current()?.classList.remove("current");
  row.classList.add("current");
  if (focus) one(".row-link", row).focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function step(by) {
  const list = rows();
  if (!list.length) return;
  const at = list.indexOf(current());
  const next = at < 0 ? (by > 0 ? 0 : list.length - 1) : at + by;
  if (next >= list.length) { toast("This is the last row of the page.", one("#next-page") && { label: "Next page", run: () => one("#next-page").click() }); return; }
  if (next < 0) return;
  moveTo(list[next], !openId);
  if (openId) openFlyout(list[next], false);
}

// Opens the flyout beside the queue; the address becomes the alert's, so that it can be linked.
function openFlyout(row, push = true) {
  moveTo(row, false);
  const address = one(".row-link", row).getAttribute("href");
  openId = row.dataset.id;
  flyout.hidden = false;
  const state = { alert: openId, address };
  if (push && !history.state?.alert) history.pushState(state, "", address); else history.replaceState(state, "", address);
  return load(address);
}

async function load(address) {
  await htmx.ajax("GET", address, { target: "#flyout", swap: "innerHTML" });
  showTimes(flyout);
  flyout.scrollTop = 0;
  flyout.focus({ preventScroll: true });
}

function closeFlyout(back = true) {
  if (!openId) return false;
  const row = rowOf(openId);
  openId = undefined;
  flyout.hidden = true;
  flyout.replaceChildren();
  if (back && history.state?.alert) history.back();
  if (row) moveTo(row);
  return true;
}

addEventListener("popstate", (event) => {
  if (!queue) return;
  const row = event.state?.alert && rowOf(event.state.alert);
  if (row) openFlyout(row, false);
  else if (location.pathname === "/queue") closeFlyout(false);
  else location.reload();
});

// Shows the queue anew in place: rows, facets and counts come from the server.
export async function refresh() {
  if (!queue) return;
  const keep = current()?.dataset.id;
  const html = await (await ask(queue.dataset.back)).text();
  const fresh = fragment(html);
  for (const id of ["queue-main"]) one(`#${id}`).replaceWith(one(`#${id}`, fresh));
  for (const place of [".lanes", ".facets"]) one(place, queue).replaceWith(one(place, fresh));
  const main = one("#queue-main");
  queue.dataset.seen = main.dataset.seen;
  queue.dataset.recent = main.dataset.recent;
  queue.dataset.total = main.dataset.total;
  whole = false;
  if (keep && rowOf(keep)) moveTo(rowOf(keep), false);
  narrowFacets();
  showSelection();
}

function narrowFacets() {
  if (matchMedia("(max-width: 820px)").matches) for (const box of all("details.facets")) box.open = false;
}

// A row stays where it is after a change; what changed is read anew from the server.
async function refreshRow(id) {
  const fresh = fragment(await (await ask(queue.dataset.back)).text());
  const row = rowOf(id);
  const next = one(`#rows > tr[data-id="${id}"]`, fresh);
  if (row && next) {
    next.className += row.classList.contains("current") ? " current" : "";
    row.replaceWith(next);
  } else row?.classList.add("gone");
  for (const place of [".lanes", ".facets"]) one(place, queue)?.replaceWith(one(place, fresh));
  narrowFacets();
}

async function act(ids, word) {
  const body = new URLSearchParams({ do: word });
  for (const id of ids) body.append("id", id);
  await ask("/queue/act", { body });
  const undo = ["take", "reopen"].includes(word) ? undefined : { label: "Reopen", run: () => act(ids, "reopen") };
  toast(ids.length === 1 ? DONE[word] : `${ids.length} alerts: ${DONE[word]}`, undo);
  await afterChange(ids[0]);
}

async function afterChange(id) {
  if (queue) await refreshRow(id);
  const address = openId === id ? one(".row-link", rowOf(id))?.getAttribute("href") : undefined;
  if (openId === id) await load(address ?? location.pathname + location.search);
  else if (!queue) location.reload();
}

function showSelection() {
  const bulk = one("#bulk");
  if (!bulk) return;
  const list = selected();
  bulk.hidden = !list.length;
  const total = Number(queue.dataset.total);
  one("#bulk-count").textContent = whole ? `All ${total} that match are selected` : `${list.length} selected`;
  const more = one("#bulk-all");
  more.hidden = whole || list.length < rows().length || total <= list.length;
  more.textContent = `Select all ${total} that match`;
  const page = one("#select-page");
  if (page) page.checked = list.length > 0 && list.length === rows().length;
}

function select(row, on = !row.classList.contains("selected")) {
  row.classList.toggle("selected", on);
  const box = one("input[type=checkbox]", row);
  if (box) box.checked = on;
  if (!on) whole = false;
}

// The question with the exact count; the answer names it too.
async function bulk(word) {
  const to = new URLSearchParams({ do: word, back: queue.dataset.back });
  if (whole) to.set("filter", queue.dataset.filter || "lane=open");
  else for (const row of selected()) to.append("id", row.dataset.id);
  const dialog = openDialog(fragment(await (await ask("/queue/confirm?" + to)).text()), "confirm");
  dialog.setAttribute("aria-label", "Confirm");
  one(".primary", dialog)?.focus();
  one("form", dialog).addEventListener("submit", async (event) => {
    event.preventDefault();
    const response = await ask("/queue/act", { body: encodeForm(event.target) });
    dialog.close();
    toast(decodeURIComponent(response.headers.get("x-toast") ?? "Done."));
    await refresh();
  });
}

function word(word) {
  if (!analyst && !one("article.alert form[data-quick]")) return;
  if (queue && selected().length && !openId) return bulk(word);
  const id = openId ?? current()?.dataset.id ?? (!queue && one("article.alert")?.dataset.id);
  if (id) act([id], word);
}

export function queueKey(event) {
  if (event.key === "Escape") return closeFlyout() || (selected().length > 0 && (unselect(), true));
  if (!shortcutsOn() || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return false;
  if (WORDS[event.key] && (queue || one("article.alert"))) { word(WORDS[event.key]); return true; }
  if (event.key === "m" && one("article.alert textarea[name=note]")) { one("article.alert textarea[name=note]").focus(); return true; }
  if (!queue) return false;
  switch (event.key) {
    case "j": case "ArrowDown": if (event.key === "ArrowDown" && openId) return false; step(1); return true;
    case "k": case "ArrowUp": if (event.key === "ArrowUp" && openId) return false; step(-1); return true;
    case "x": if (analyst && current()) { select(current()); showSelection(); } return true;
    case "n": if (!one("#news").hidden) refresh(); return true;
    case "/": one("#q").focus(); return true;
    case "Enter": {
      if (event.target.closest("button, a:not(.row-link), summary, input")) return false;
      if (current()) { openFlyout(current()); return true; }
      return false;
    }
    default: return false;
  }
}

function unselect() {
  for (const row of selected()) select(row, false);
  whole = false;
  showSelection();
}

document.addEventListener("click", (event) => {
  const target = event.target;
  if (target.closest('[data-act="close-flyout"]')) closeFlyout();
  else if (target.closest('[data-act="news"]')) refresh();
  else if (target.closest('[data-act="unselect"]')) unselect();
  else if (target.closest("#bulk-all")) { whole = true; showSelection(); }
  else if (target.closest("[data-bulk]")) bulk(target.closest("[data-bulk]").dataset.bulk);
  else if (target.closest("#rows") && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    const row = target.closest("tr");
    if (target.closest("input")) { select(row, target.checked); showSelection(); return; }
    if (target.closest(".c-check")) return;
    event.preventDefault();
    openFlyout(row);
  }
});

document.addEventListener("change", (event) => {
  if (event.target.id !== "select-page") return;
  for (const row of rows()) select(row, event.target.checked);
  showSelection();
});

document.addEventListener("focusin", (event) => {
  const row = event.target.closest?.("#rows > tr");
  if (row && !row.classList.contains("current")) moveTo(row, false);
});

// Forms of the flyout are sent in place.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form[data-quick]")) return;
  event.preventDefault();
  const id = one("article.alert").dataset.id;
  const response = await ask(form.getAttribute("action"), { body: encodeForm(form, event.submitter) });
  toast(decodeURIComponent(response.headers.get("x-toast") ?? "Done."));
  await afterChange(id);
});

if (queue) {
  narrowFacets();
  const count = calmly(300, async () => {
    const to = new URLSearchParams(queue.dataset.filter);
    to.set("seen", queue.dataset.seen);
    to.set("recent", queue.dataset.recent);
    const { new: n } = await (await ask("/queue/news?" + to, { quiet: true })).json();
    if (!n) return;
    // Nothing can move under the pointer where there is nothing.
    if (!rows().length) { refresh(); return; }
    const pill = one("#news");
    pill.hidden = false;
    pill.textContent = `${n} new`;
  });
  onLive("raised", count);
  onLive("changed", count);
  onLive("begin", count);
}
