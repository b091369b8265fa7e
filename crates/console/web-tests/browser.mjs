// Starts Chromium and signs in. Against a console that runs already where COVIGIL_URL and
// COVIGIL_LINK (a one-time link of an admin) are given; otherwise against the demo that it starts.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const require = createRequire(import.meta.url);
export const axeSource = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
export const output = resolve(process.env.COVIGIL_TEST_OUTPUT ?? resolve(import.meta.dirname, "../../../test-output/console"));
mkdirSync(output, { recursive: true });

const root = resolve(import.meta.dirname, "../../..");
const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export const isDemo = !process.env.COVIGIL_URL;

// The console's address, its links by user, and how to end it.
export async function startConsole() {
  if (!isDemo) return { url: process.env.COVIGIL_URL.replace(/\/$/, ""), links: { ana: process.env.COVIGIL_LINK }, stop: () => {} };
  const binary = process.env.COVIGIL_DEMO;
  const [command, args] = binary ? [binary, []] : ["cargo", ["run", "-q", "-p", "covigil-console", "--example", "demo"]];
  const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, COVIGIL_DEMO_LISTEN: "127.0.0.1:0", COVIGIL_DEMO_QUIET: "1" } });
  const links = {};
  for await (const line of createInterface({ input: child.stdout })) {
    const found = /^(\w+): (http\S+)$/.exec(line);
    if (found) links[found[1]] = found[2];
    if (Object.keys(links).length === 3) break;
  }
  if (!links.ana) throw new Error("the demo did not print its links");
  return { url: new URL(links.ana).origin, links, stop: () => child.kill() };
}

export async function startBrowser() {
  const profile = mkdtempSync(join(tmpdir(), "covigil-chromium-"));
  const context = await chromium.launchPersistentContext(profile, { executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: flags, viewport: { width: 1440, height: 900 } });
  return { context, stop: async () => { await context.close(); rmSync(profile, { recursive: true, force: true }); } };
}

export async function signIn(page, link) {
  await page.goto(link);
  await page.getByRole("button", { name: /^Sign in as/ }).click();
  await page.waitForURL(/\/(enrol)?$/);
}

// Problems that the page itself reports: script errors and refusals of the security policy.
export function watch(page) {
  const problems = [];
  page.on("pageerror", (error) => problems.push(`script: ${error.message}`));
  page.on("console", (message) => { if (message.type() === "error" && !/status of 4\d\d/.test(message.text())) problems.push(`console: ${message.text()}`); });
  return problems;
}
