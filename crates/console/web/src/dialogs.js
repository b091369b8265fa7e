// The overlay of shortcuts, and the palette.
import { all, one } from "./dom.js";

export function openDialog(content, name) {
  const dialog = document.createElement("dialog");
  dialog.className = name;
  dialog.append(content);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

const KEYS = [
  ["j  k", "next and previous alert"], ["Enter", "open the alert"], ["Esc", "close what is open"], ["x", "select"],
  ["a", "take it: assign to me"], ["t", "close as true positive"], ["b", "close as benign"],
  ["f", "close as false positive"], ["d", "close as duplicate"], ["r", "reopen"], ["m", "write a note"],
  ["n", "show new rows"], ["/", "filter"], ["g then t q s h", "go to Today, Queue, Search, Health"],
  ["Ctrl K", "go anywhere"], ["?", "this list"],
];

export function help() {
  const list = document.createElement("dl");
  list.className = "keys";
  for (const [keys, what] of KEYS) {
    const term = document.createElement("dt");
    const key = document.createElement("kbd");
    key.textContent = keys;
    term.append(key);
    const text = document.createElement("dd");
    text.textContent = what;
    list.append(term, text);
  }
  const body = document.createElement("div");
  const title = document.createElement("h2");
  title.textContent = "Keyboard shortcuts";
  const note = document.createElement("p");
  note.className = "muted small";
  note.textContent = "Selected alerts are acted on together, after you have seen their number. Settings turns single letters off.";
  const close = document.createElement("button");
  close.type = "button";
  close.className = "button";
  close.textContent = "Close";
  body.append(title, list, note, close);
  const dialog = openDialog(body, "help");
  dialog.setAttribute("aria-label", "Keyboard shortcuts");
  close.addEventListener("click", () => dialog.close());
}

export function palette(actions) {
  const input = document.createElement("input");
  input.placeholder = "Go to, do, or search for …";
  input.setAttribute("role", "combobox");
  input.setAttribute("aria-label", "Go to, do, or search");
  input.setAttribute("aria-expanded", "true");
  input.setAttribute("aria-controls", "palette-list");
  const list = document.createElement("ul");
  list.id = "palette-list";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "What is on offer");
  const body = document.createElement("div");
  body.append(input, list);
  const dialog = openDialog(body, "palette");
  dialog.setAttribute("aria-label", "Go anywhere");
  let shown = [];
  let at = 0;
  const draw = () => {
    const text = input.value.trim().toLowerCase();
    shown = actions.filter((action) => action.label.toLowerCase().includes(text));
    if (text) shown.push({ label: `Search events for “${input.value.trim()}”`, run: () => location.assign("/search?q=" + encodeURIComponent(input.value.trim())) });
    at = Math.min(at, Math.max(0, shown.length - 1));
    list.replaceChildren(...shown.map((action, index) => {
      const item = document.createElement("li");
      item.id = `palette-${index}`;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", String(index === at));
      item.textContent = action.label;
      item.addEventListener("click", () => { dialog.close(); action.run(); });
      return item;
    }));
    input.setAttribute("aria-activedescendant", shown.length ? `palette-${at}` : "");
    one('[aria-selected="true"]', list)?.scrollIntoView({ block: "nearest" });
  };
  input.addEventListener("input", () => { at = 0; draw(); });
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      at = (at + step + shown.length) % Math.max(1, shown.length);
      draw();
    } else if (event.key === "Enter" && shown[at]) {
      event.preventDefault();
      const action = shown[at];
      dialog.close();
      action.run();
    }
  });
  draw();
  input.focus();
}

export const places = () => all(".places a").map((link) => ({ label: `Go to ${link.textContent.trim()}`, run: () => location.assign(link.href) }));
