// Pictures of pages to look at while working: node shots.mjs URL LINK OUT PATH...
import { axeSource, signIn, startBrowser, watch } from "./browser.mjs";
const [url, link, out, ...paths] = process.argv.slice(2);
const { context, stop } = await startBrowser();
const page = context.pages()[0] ?? await context.newPage();
const problems = watch(page);
await signIn(page, link);
for (const [name, width, height] of [["wide", 1440, 900], ["phone", 390, 844]]) {
  for (const theme of ["light", "dark"]) {
    await context.addCookies([{ name: "theme", value: theme, url }]);
    await page.setViewportSize({ width, height });
    for (const path of paths) {
      const slug = path.replace(/[^a-z0-9]+/gi, "-").replace(/^-|-$/g, "") || "today";
      await page.goto(url + path);
      await page.waitForTimeout(500);
      await page.screenshot({ path: `${out}/${slug}-${name}-${theme}.png` });
      await page.evaluate(axeSource);
      const found = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
      for (const v of found.violations) console.log(`${slug} ${name} ${theme}: ${v.id} ${v.nodes.length}× ${v.nodes[0].html.slice(0, 160)} | ${v.nodes[0].failureSummary.split("\n")[1]}`);
    }
  }
}
console.log(problems);
await stop();
