// Small helpers of all scripts: finding elements, asking the server, saying what was done.
import { showTimes } from "./times.js";

export const one = (selector, root = document) => root.querySelector(selector);
export const all = (selector, root = document) => [...root.querySelectorAll(selector)];
export const csrf = () => one('meta[name="csrf"]').content;

// Markup comes from the server's templates alone, where everything is escaped.
export function fragment(markup) {
  const template = document.createElement("template");
  template.innerHTML = markup;
  showTimes(template.content);
  return template.content;
}

export function toast(text, act) {
  const note = document.createElement("div");
  note.className = "toast";
  note.append(text);
  if (act) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = act.label;
    button.addEventListener("click", () => { note.remove(); act.run(); });
    note.append(button);
  }
  one("#toasts").append(note);
  setTimeout(() => note.remove(), act ? 9000 : 5000);
}

export async function ask(url, options = {}) {
  const headers = { "x-fragment": "1", ...(options.body ? { "x-csrf-token": csrf() } : {}), ...options.headers };
  let response;
  try {
    response = await fetch(url, { method: options.body ? "POST" : "GET", ...options, headers });
  } catch (error) {
    if (error.name !== "AbortError") toast("The node does not answer. Try again in a moment.");
    throw error;
  }
  if (response.status === 401) {
    location.assign("/sign-in?next=" + encodeURIComponent(location.pathname + location.search));
    throw new Error("signed out");
  }
  if (!response.ok) {
    const message = (await response.text()) || `The node answered ${response.status}.`;
    if (!options.quiet) toast(message);
    throw new Error(message);
  }
  return response;
}

export const encodeForm = (form, submitter) => new URLSearchParams(new FormData(form, submitter));
export const typing = (target) => target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");
export const shortcutsOn = () => localStorage.getItem("shortcuts") !== "off";
