// Looks at the page in Chromium as a person would: `node look.mjs ADDRESS SCREENSHOTS SEEDS MODEL TASK`. Prints what it found as JSON.
//
// playwright-core and axe-core are looked for in the folder that LANCER_BROWSER_TOOLS names, the browser is LANCER_BROWSER.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const tools = process.env.LANCER_BROWSER_TOOLS;
const need = createRequire(join(tools, "package.json"));
const { chromium } = need("playwright-core");
const axe = readFileSync(need.resolve("axe-core/axe.min.js"), "utf8");
const [address, screenshots, seeds, model, task, ...settings] = process.argv.slice(2);

const browser = await chromium.launch({ executablePath: process.env.LANCER_BROWSER, args: ["--no-sandbox"] });
const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: "reduce" });
const page = await context.newPage();
const problems = [];
page.on("console", (message) => {
  // What the server refuses is shown by the page; only what the browser refuses is a problem.
  if (message.type() === "error" && !message.text().includes("Failed to load resource")) problems.push(message.text());
});
page.on("pageerror", (error) => problems.push(String(error)));
page.on("dialog", (dialog) => {
  problems.push(`a dialog: ${dialog.message()}`);
  dialog.dismiss();
});

const violations = [];
async function look(name) {
  for (const [scheme, width] of [["light", 1280], ["dark", 1280], ["light", 390]]) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize({ width, height: 900 });
    await page.waitForTimeout(150);
    await page.evaluate(axe);
    const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    for (const one of found.violations.filter(({ impact }) => impact === "serious" || impact === "critical")) {
      violations.push(`${name}, ${scheme}, ${width}: ${one.id}: ${one.help}: ${one.nodes.slice(0, 3).map((node) => node.html).join(" | ")}`);
    }
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wider > 0) violations.push(`${name}, ${width}: the page is ${wider} pixels wider than the window`);
    await page.screenshot({ path: join(screenshots, `${name}-${scheme}-${width}.png`), fullPage: name !== "records" });
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 1280, height: 900 });
}

// A run is started by the form, and watched to its end.
await page.goto(address);
await page.getByText("Start a run").click();
await page.getByLabel("Name", { exact: false }).first().fill("watched");
await page.getByLabel("Seeds", { exact: false }).first().fill(seeds);
await page.getByLabel("Model", { exact: false }).first().fill(model);
await page.getByLabel("Tasks", { exact: false }).first().fill(task);
await page.getByLabel("Iterations").fill("1");
await page.getByLabel("Review", { exact: false }).selectOption("likelihood");
await page.getByLabel("Other settings", { exact: false }).fill(settings.join("\n"));
await page.locator(".command").filter({ hasText: "--iterations=1" }).waitFor();
const command = await page.locator(".command").textContent();
await look("start");
await page.getByRole("button", { name: "Start", exact: true }).click();
await page.locator(".badge", { hasText: "working" }).waitFor({ timeout: 120000 });
await page.locator(".badge", { hasText: "finished" }).waitFor({ timeout: 500000 });
await page.locator("#training .chart").first().waitFor();
await look("run");

// A step of the training leads to its examples.
await page.locator("#training svg.clickable").first().click();
await page.locator("h1", { hasText: "step" }).waitFor();
await page.locator("table.records tbody tr").first().waitFor();
const examples = await page.locator("table.records tbody tr").count();
await look("step");

// A record is found by its words, and shown as text.
await page.getByRole("link", { name: "Records", exact: true }).click();
await page.getByLabel("Text", { exact: false }).first().fill("onerror");
await page.locator("table.records tbody th a").first().waitFor();
await page.waitForFunction(() => document.querySelectorAll("table.records tbody tr").length < 8);
await look("records");
const key = await page.locator("table.records tbody th a").first().textContent();
await page.locator("table.records tbody th a").first().click();
await page.locator(".graph .here").waitFor();
const markup = await page.locator("main img, main script").count();
await look("record");

// A pair is flipped by the keyboard alone.
let judged = null;
page.on("request", (request) => {
  if (request.url().endsWith("/api/judge")) judged = JSON.parse(request.postData()).judgement;
});
await page.goto(`${address}#/run/watched/judge?subject=pair&blind=no`);
await page.locator(".card .sides").waitFor();
await look("judge");
await page.locator(".card").focus();
await page.keyboard.press("f");
await page.waitForFunction(() => document.getElementById("status").textContent.startsWith("flip"));
const flipped = judged;

await page.goto(`${address}#/run/watched/talk`);
await page.getByLabel("Longest answer", { exact: false }).fill("8");
await page.getByLabel("What you say").fill("Name a colour.");
await page.locator(".talk h3").nth(1).waitFor();
await page.keyboard.press("Control+Enter");
await page.locator(".answer").nth(1).waitFor({ timeout: 120000 });
await look("talk");

await page.goto(`${address}#/compare?runs=${encodeURIComponent(JSON.stringify(["one", "watched"]))}`);
await page.locator("h2", { hasText: "Evaluation" }).waitFor();
await look("compare");
await page.goto(`${address}#/`);
await page.getByRole("link", { name: "watched" }).waitFor();
await look("runs");

await browser.close();
console.log(JSON.stringify({ command, examples, key, markup, flipped, problems, violations }));
