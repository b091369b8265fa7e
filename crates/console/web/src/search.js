// Search: rows as they come, then histogram and facets; completion, zoom, live tail.
import { all, ask, fragment, one, typing } from "./dom.js";

const search = one("#search");

// Expanding a row shows all fields; works wherever rows of events are.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.expand");
  const line = event.target.closest("tr.event-row");
  if (!button && (!line || event.target.closest("button, a") || String(getSelection()))) return;
  const row = line ?? button.closest("tr");
  const toggle = button ?? one("button.expand", row);
  const open = toggle.getAttribute("aria-expanded") === "true";
  toggle.setAttribute("aria-expanded", String(!open));
  row.classList.toggle("open", !open);
  if (open) { row.nextElementSibling?.classList.contains("detail-row") && row.nextElementSibling.remove(); return; }
  const detail = document.createElement("tr");
  detail.className = "detail-row";
  const cell = document.createElement("td");
  cell.colSpan = row.cells.length;
  cell.textContent = "…";
  detail.append(cell);
  row.after(detail);
  cell.replaceChildren(fragment(await (await ask(toggle.dataset.event)).text()));
});

if (search) {
  let running;
  let tail;
  const events = one("#events");
  const say = (text) => { one("#progress-text").textContent = text; };
  const busy = (on) => { one("#cancel").hidden = !on; one("#progress").hidden = !on; };

  const take = {
    row(value) { one("#events-table").hidden = false; return value; },
    columns(value) { one("#cells-table").hidden = false; one("#cells-head").replaceChildren(fragment(`<table>${value}</table>`).querySelector("tr")); },
    progress(value) { one("#progress").value = value; },
    error(value) { const box = one("#search-error"); box.hidden = false; box.textContent = value; },
    done(value) {
      const n = value.found.toLocaleString("en");
      say(value.found ? `${value.more ? `The newest ${n}` : n} ${value.found === 1 ? "result" : "results"}, ${value.scanned.toLocaleString("en")} events considered` : "");
      one("#no-results").hidden = value.found > 0;
    },
  };

  const rowsInto = (body, markup) => body.append(...fragment(`<table><tbody>${markup}</tbody></table>`).querySelectorAll("tr"));

  async function run() {
    running = new AbortController();
    busy(true);
    say("Searching …");
    const started = performance.now();
    try {
      const response = await ask("/search/rows?" + search.dataset.parts, { signal: running.signal, quiet: true });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        const lines = (rest + (value ?? "")).split("\n");
        rest = done ? "" : lines.pop();
        let rows = "";
        let cells = "";
        for (const line of lines) {
          if (!line) continue;
          const { kind, value: part } = JSON.parse(line);
          if (kind === "row") rows += take.row(part);
          else if (kind === "cells") cells += part;
          else take[kind]?.(part);
        }
        if (rows) rowsInto(events, rows);
        if (cells) rowsInto(one("#cells"), cells);
        if (done) break;
      }
      search.dataset.took = String(Math.round(performance.now() - started));
    } catch (error) {
      if (error.name === "AbortError") say("Cancelled. What was found so far stays.");
      else { say(""); take.error(error.message); }
    } finally {
      busy(false);
      search.dataset.state = "done";
    }
  }

  async function part(id) {
    try {
      const response = await ask(`/search/${id}?` + search.dataset.parts, { signal: running.signal, quiet: true });
      one(`#${id}`).replaceChildren(fragment(await response.text()));
    } catch { /* The rows say what is wrong with the query. */ }
  }

  one("#cancel").addEventListener("click", () => running.abort());
  if (search.hasAttribute("data-asked")) run().then(() => { if (!running.signal.aborted) { part("histogram").then(zoom); part("facets"); } });
  else one("#query").focus();
  if (matchMedia("(max-width: 820px)").matches) one("#facets-box").open = false;

  // Time range in the reader's zone.
  const toLocal = (utc) => { const date = new Date(utc); return new Date(date - date.getTimezoneOffset() * 60000).toISOString().slice(0, 19); };
  for (const end of ["from", "to"]) { const field = one(`#${end}-local`); if (field.dataset.utc) field.value = toLocal(field.dataset.utc); }
  one("#range").addEventListener("change", (event) => { one("#custom").hidden = event.target.value !== "custom"; if (event.target.value !== "custom") one("#ask").requestSubmit(); });
  one("#ask").addEventListener("submit", () => {
    const custom = one("#range").value === "custom";
    for (const end of ["from", "to"]) {
      const local = one(`#${end}-local`).value;
      const hidden = one(`#${end}`);
      hidden.value = custom && local ? new Date(local).toISOString() : "";
      hidden.disabled = !hidden.value;
    }
  });

  // Zoom: by dragging, or from the keyboard.
  function zoom() {
    const hist = one("#hist");
    if (!hist) return;
    const bars = all(".hist-bar", hist);
    const hits = all(".hist-hit", hist);
    let from = -1;
    let to = -1;
    let dragging = false;
    const mark = () => {
      const [a, b] = [Math.min(from, to), Math.max(from, to)];
      hits.forEach((hit, index) => hit.classList.toggle("in", index >= a && index <= b));
      if (a < 0) return;
      one("#hist-text").textContent = a === b ? bars[a].dataset.label : `${bars[a].dataset.label} … ${bars[b].dataset.label}`;
    };
    const go = () => {
      if (from < 0) return;
      const to2 = new URLSearchParams(location.search);
      to2.delete("range");
      to2.set("from", bars[Math.min(from, to)].dataset.start);
      to2.set("to", bars[Math.max(from, to)].dataset.end);
      location.assign("/search?" + to2);
    };
    const at = (event) => { const box = hist.getBoundingClientRect(); return Math.max(0, Math.min(bars.length - 1, Math.floor(((event.clientX - box.left) / box.width) * bars.length))); };
    hist.addEventListener("pointerdown", (event) => { dragging = true; from = to = at(event); hist.setPointerCapture(event.pointerId); mark(); });
    hist.addEventListener("pointermove", (event) => { if (dragging) to = at(event); else from = to = at(event); mark(); });
    hist.addEventListener("pointerup", () => { dragging = false; if (from !== to) go(); });
    hist.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (by) { event.preventDefault(); to = Math.max(0, Math.min(bars.length - 1, to < 0 ? 0 : to + by)); if (!event.shiftKey || from < 0) from = to; mark(); }
      else if (event.key === "Enter") { event.preventDefault(); go(); }
      else if (event.key === "Escape") { from = to = -1; mark(); }
    });
  }

  // Completion.
  const query = one("#query");
  const list = one("#suggestions");
  let offers = [];
  let chosen = -1;
  let asked = 0;
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  const draw = () => {
    list.hidden = !offers.length;
    query.setAttribute("aria-expanded", String(offers.length > 0));
    query.setAttribute("aria-activedescendant", chosen >= 0 ? `offer-${chosen}` : "");
    list.replaceChildren(...offers.map((offer, index) => {
      const item = document.createElement("li");
      item.id = `offer-${index}`;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", String(index === chosen));
      const word = document.createElement("span");
      word.textContent = offer.insert;
      const hint = document.createElement("span");
      hint.className = "muted";
      hint.textContent = offer.help || offer.kind;
      item.append(word, hint);
      item.addEventListener("mousedown", (event) => { event.preventDefault(); choose(index); });
      return item;
    }));
  };
  const shut = () => { offers = []; chosen = -1; draw(); };
  const choose = (index) => {
    const offer = offers[index];
    const text = encoder.encode(query.value);
    const cursor = encoder.encode(query.value.slice(0, query.selectionStart)).length;
    const before = decoder.decode(text.slice(0, offer.from)) + offer.insert;
    query.value = before + decoder.decode(text.slice(cursor));
    query.setSelectionRange(before.length, before.length);
    shut();
  };
  query.addEventListener("input", async () => {
    const mine = ++asked;
    const cursor = encoder.encode(query.value.slice(0, query.selectionStart)).length;
    if (!query.value) { shut(); return; }
    try {
      const found = await (await ask("/search/complete?" + new URLSearchParams({ q: query.value, cursor }), { quiet: true })).json();
      if (mine !== asked) return;
      offers = found;
      chosen = -1;
      draw();
    } catch { shut(); }
  });
  query.addEventListener("keydown", (event) => {
    if (!offers.length) return;
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) { event.preventDefault(); chosen = (chosen + by + offers.length) % offers.length; draw(); }
    else if ((event.key === "Enter" || event.key === "Tab") && chosen >= 0) { event.preventDefault(); choose(chosen); }
    else if (event.key === "Escape") { event.stopPropagation(); shut(); }
  });
  query.addEventListener("blur", shut);

  // Live tail: the newest on top, at most 500.
  const stop = () => { tail?.close(); tail = undefined; one("#tail").setAttribute("aria-pressed", "false"); say("Live tail stopped."); };
  one("#tail").addEventListener("click", () => {
    if (tail) { stop(); return; }
    running?.abort();
    events.replaceChildren();
    one("#events-table").hidden = false;
    one("#no-results").hidden = true;
    one("#tail").setAttribute("aria-pressed", "true");
    say("Waiting for events … press again to stop");
    tail = new EventSource("/search/tail?" + search.dataset.tail);
    let n = 0;
    tail.addEventListener("row", (event) => {
      const rows = fragment(`<table><tbody>${event.data}</tbody></table>`).querySelectorAll("tr");
      events.prepend(...rows);
      while (events.rows.length > 500) events.lastElementChild.remove();
      say(`Live: ${++n} ${n === 1 ? "event" : "events"}`);
    });
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && tail && !typing(event.target)) stop(); });
}
