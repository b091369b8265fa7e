// The stream of what happens: one connection per page, told to whoever listens.
import { one } from "./dom.js";

const listeners = new Map();
export const onLive = (name, run) => listeners.set(name, [...(listeners.get(name) ?? []), run]);

export function listen() {
  const stream = new EventSource("/live");
  const state = one("#link-state");
  stream.addEventListener("open", () => { state.textContent = ""; });
  stream.addEventListener("error", () => { state.textContent = "Not live: trying to reach the node again"; });
  for (const name of ["begin", "raised", "changed", "health"]) {
    stream.addEventListener(name, (event) => {
      if (name === "begin") document.documentElement.dataset.live = "yes";
      for (const run of listeners.get(name) ?? []) run(JSON.parse(event.data));
    });
  }
}

// Runs at most once in `ms`, and once more after the last call.
export function calmly(ms, run) {
  let timer;
  let last = 0;
  return () => {
    clearTimeout(timer);
    const wait = Math.max(0, last + ms - Date.now());
    timer = setTimeout(() => { last = Date.now(); run(); }, wait);
  };
}
