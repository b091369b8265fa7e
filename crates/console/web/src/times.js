// Times in the reader's zone: relative, absolute, or both, as the element's data-form says.
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const zoned = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const relative = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "narrow" });
const pad = (n, width = 2) => String(n).padStart(width, "0");

function ago(date) {
  const seconds = Math.round((date - Date.now()) / 1000);
  const size = Math.abs(seconds);
  if (size < 5) return "now";
  if (size < 60) return relative.format(seconds, "second");
  if (size < 3600) return relative.format(Math.round(seconds / 60), "minute");
  if (size < 172800) return relative.format(Math.round(seconds / 3600), "hour");
  return relative.format(Math.round(seconds / 86400), "day");
}

function exact(date, milliseconds) {
  const today = new Date().toDateString() === date.toDateString();
  const clock = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}${milliseconds ? `.${pad(date.getMilliseconds(), 3)}` : ""}`;
  return today ? clock : `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${clock}`;
}

export function showTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const date = new Date(element.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    const form = element.dataset.form;
    const text = form === "full" ? `${ago(date)} · ${day.format(date)}` : form === "exact" ? exact(date, true) : form === "second" ? exact(date, false) : ago(date);
    if (element.textContent !== text) element.textContent = text;
    element.title = zoned.format(date);
  }
}
