// What can be done with any value of an event: a small menu, by mouse and keyboard.
import { all, one, toast } from "./dom.js";

let menu;
let owner;

export function closeMenu(refocus) {
  if (!menu) return false;
  menu.remove();
  menu = undefined;
  owner?.setAttribute("aria-expanded", "false");
  if (refocus) owner?.focus();
  return true;
}

function pivot(mode) {
  const here = new URLSearchParams(location.pathname === "/search" ? location.search : "");
  const to = new URLSearchParams({ mode, field: owner.dataset.field, value: owner.dataset.value });
  for (const name of ["q", "range", "from", "to"]) if (here.get(name)) to.set(name, here.get(name));
  return "/search/pivot?" + to;
}

function open(button) {
  closeMenu(false);
  owner = button;
  menu = document.createElement("div");
  menu.className = "value-menu";
  menu.setAttribute("role", "menu");
  menu.setAttribute("aria-label", "Do with this value");
  const inSearch = location.pathname === "/search";
  const choices = inSearch
    ? [["Only this", "only"], ["Include in the query", "include"], ["Exclude from the query", "exclude"]]
    : [["Search for it", "only"]];
  for (const [label, mode] of choices) {
    const link = document.createElement("a");
    link.setAttribute("role", "menuitem");
    link.href = pivot(mode);
    link.textContent = label;
    menu.append(link);
  }
  const copy = document.createElement("button");
  copy.type = "button";
  copy.setAttribute("role", "menuitem");
  copy.textContent = "Copy";
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.value);
    closeMenu(true);
    toast("Copied.");
  });
  menu.append(copy);
  document.body.append(menu);
  const box = button.getBoundingClientRect();
  const left = Math.min(box.left + scrollX, scrollX + innerWidth - menu.offsetWidth - 8);
  const below = box.bottom + menu.offsetHeight + 8 < innerHeight;
  menu.style.left = `${Math.max(8, left)}px`;
  menu.style.top = `${scrollY + (below ? box.bottom + 2 : Math.max(8, box.top - menu.offsetHeight - 2))}px`;
  button.setAttribute("aria-expanded", "true");
  one("a, button", menu).focus();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button.value");
  if (button) {
    event.preventDefault();
    if (menu && owner === button) closeMenu(true); else open(button);
  } else if (!event.target.closest(".value-menu")) closeMenu(false);
});

document.addEventListener("keydown", (event) => {
  if (!menu) return;
  const items = all("a, button", menu);
  const at = items.indexOf(document.activeElement);
  if (event.key === "Escape") { event.stopImmediatePropagation(); closeMenu(true); }
  else if (event.key === "ArrowDown") { event.preventDefault(); items[(at + 1) % items.length].focus(); }
  else if (event.key === "ArrowUp") { event.preventDefault(); items[(at + items.length - 1) % items.length].focus(); }
  else if (event.key === "Tab") closeMenu(false);
}, true);
