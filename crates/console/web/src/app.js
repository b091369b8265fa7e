// Runs on every page: times, theme, live stream, menus, shortcuts.
import { all, ask, fragment, one, shortcutsOn, typing } from "./dom.js";
import { help, palette, places } from "./dialogs.js";
import { calmly, listen, onLive } from "./live.js";
import { queueKey } from "./queue.js";
import { showTimes } from "./times.js";
import { closeMenu } from "./values.js";

document.documentElement.classList.add("scripted");
showTimes(document);
setInterval(() => showTimes(document), 15000);

function setTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme === "dark" || (root.dataset.theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  root.dataset.theme = dark ? "light" : "dark";
  document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=strict${location.protocol === "https:" ? "; secure" : ""}`;
}

const GO = { t: "/", q: "/queue", s: "/search", r: "/rules", h: "/health" };
let going = 0;

document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]")) return;
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    palette([...places(), { label: "Change between light and dark", run: setTheme }, { label: "Show keyboard shortcuts", run: help },
      { label: "Queue: mine", run: () => location.assign("/queue?lane=mine") }, { label: "Queue: new, critical and high", run: () => location.assign("/queue?lane=new&severity=critical&severity=high") },
      { label: "Queue: closed", run: () => location.assign("/queue?lane=closed") }]);
    return;
  }
  if (queueKey(event)) { event.preventDefault(); return; }
  if (event.key === "Escape") { closeMenu(true); one("details.menu[open]")?.removeAttribute("open"); return; }
  if (!shortcutsOn() || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (event.key === "?") { event.preventDefault(); help(); }
  else if (event.key === "/") { event.preventDefault(); (one("#query") ?? one("#jump"))?.focus(); }
  else if (event.key === "g") going = Date.now();
  else if (Date.now() - going < 1500 && GO[event.key]) location.assign(GO[event.key]);
});

document.addEventListener("keydown", (event) => {
  // "g t" must not also mean "close as true positive".
  if (event.key !== "g" && Date.now() - going < 1500 && GO[event.key] && !typing(event.target) && shortcutsOn()) {
    event.stopImmediatePropagation();
    location.assign(GO[event.key]);
  }
}, true);

document.addEventListener("click", (event) => {
  const act = event.target.closest("[data-act]")?.dataset.act;
  if (act === "theme") setTheme();
  else if (act === "help") help();
  else if (act === "close-dialog") event.target.closest("dialog").close();
  const menu = one("details.menu[open]");
  if (menu && !menu.contains(event.target)) menu.removeAttribute("open");
});

document.addEventListener("change", (event) => {
  if (event.target.matches("select[data-submit]") && event.target.value) event.target.form.requestSubmit();
  if (event.target.id === "shortcuts") localStorage.setItem("shortcuts", event.target.checked ? "on" : "off");
});
const shortcuts = one("#shortcuts");
if (shortcuts) shortcuts.checked = shortcutsOn();

for (const part of all("[data-renew]")) {
  const renew = calmly(1000, async () => {
    if (part.contains(document.activeElement) && document.activeElement !== document.body) return;
    part.replaceChildren(fragment(await (await ask(part.dataset.renew, { quiet: true })).text()));
  });
  onLive("health", renew);
  setInterval(renew, 5000);
}

if (document.body.hasAttribute("data-signed-in")) listen();
