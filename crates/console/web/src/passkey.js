// Passkeys: enrolment and sign-in. The server makes the challenges and judges the answers.
import { ask, one } from "./dom.js";

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

function say(message) {
  const place = one("#passkey-message");
  place.hidden = !message;
  place.textContent = message;
}

const send = (url, value) => ask(url, { body: JSON.stringify(value), headers: { "content-type": "application/json" }, quiet: true });

async function attempt(run) {
  say("");
  if (!window.PublicKeyCredential) { say("This browser has no passkeys. Use a password and code."); return; }
  try {
    await run();
  } catch (error) {
    say(error.name === "NotAllowedError" ? "It was cancelled, or took too long. Try again." : error.name === "InvalidStateError" ? "This device’s passkey is enrolled already." : error.message);
  }
}

async function enrol(label) {
  const { publicKey, ceremony } = await (await send("/enrol/passkey/begin", {})).json();
  publicKey.challenge = bytes(publicKey.challenge);
  publicKey.user.id = bytes(publicKey.user.id);
  for (const key of publicKey.excludeCredentials ?? []) key.id = bytes(key.id);
  const made = await navigator.credentials.create({ publicKey });
  await send("/enrol/passkey/finish", {
    ceremony, label,
    credential: { id: made.id, rawId: text(made.rawId), type: made.type, extensions: {},
      response: { attestationObject: text(made.response.attestationObject), clientDataJSON: text(made.response.clientDataJSON), transports: made.response.getTransports?.() } },
  });
  location.assign("/settings");
}

async function signIn(next) {
  const { publicKey, ceremony } = await (await send("/sign-in/passkey/begin", {})).json();
  publicKey.challenge = bytes(publicKey.challenge);
  for (const key of publicKey.allowCredentials ?? []) key.id = bytes(key.id);
  const given = await navigator.credentials.get({ publicKey });
  await send("/sign-in/passkey/finish", {
    ceremony,
    credential: { id: given.id, rawId: text(given.rawId), type: given.type, extensions: {},
      response: { authenticatorData: text(given.response.authenticatorData), clientDataJSON: text(given.response.clientDataJSON), signature: text(given.response.signature), userHandle: given.response.userHandle ? text(given.response.userHandle) : null } },
  });
  location.assign(next.startsWith("/") && !next.startsWith("//") ? next : "/");
}

one("[data-passkey-form]")?.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(() => enrol(one("#passkey-label").value));
});
one('[data-passkey="sign-in"]')?.addEventListener("click", (event) => attempt(() => signIn(event.target.dataset.next)));
