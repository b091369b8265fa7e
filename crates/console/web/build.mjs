// Bundles the browser's assets: node build.mjs OUTPUT. Writes the files under names that carry
// their content's hash, each also gzipped, and a Rust table of them.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const out = process.argv[2];
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });

const result = await build({
  entryPoints: { app: "src/app.js", search: "src/search.js", passkey: "src/passkey.js", style: "src/style.css" },
  bundle: true,
  minify: true,
  format: "iife",
  target: ["es2022", "chrome109", "firefox115", "safari16.4"],
  write: false,
  outdir: out,
  legalComments: "none",
});

const files = result.outputFiles.map((file) => ({ path: file.path, data: Buffer.from(file.contents) }));
files.push({ path: join(out, "icon.svg"), data: readFileSync("src/icon.svg") });

const types = { js: "text/javascript; charset=utf-8", css: "text/css; charset=utf-8", svg: "image/svg+xml" };
const rows = files.map(({ path, data }) => {
  const [stem, extension] = path.slice(path.replaceAll("\\", "/").lastIndexOf("/") + 1).split(".");
  const hash = createHash("sha256").update(data).digest("hex").slice(0, 16);
  const name = `${stem}-${hash}.${extension}`;
  writeFileSync(join(out, name), data);
  writeFileSync(join(out, `${name}.gz`), gzipSync(data, { level: 9 }));
  return `    Asset { stem: "${stem}", name: "${name}", media_type: "${types[extension]}", plain: include_bytes!(r"${join(out, name)}"), gzip: include_bytes!(r"${join(out, name + ".gz")}") },`;
});
writeFileSync(join(out, "assets.rs"), `[\n${rows.sort().join("\n")}\n]\n`);
