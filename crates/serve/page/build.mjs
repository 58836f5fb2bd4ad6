// Builds the page into dist/, which is part of the repository: `npm ci && npm run build`.
//
// The figures are the report's own scripts (crates/evolve/src/report), which are no modules: here they become one.

import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const report = new URL("../../evolve/src/report/", import.meta.url);
const scripts = ["elements.js", "charts.js", "figures.js", "texts.js"];

const figures = {
  name: "figures",
  setup(builder) {
    builder.onResolve({ filter: /^figures$/ }, () => ({ path: "figures", namespace: "report" }));
    builder.onLoad({ filter: /.*/, namespace: "report" }, () => {
      const text = scripts.map((name) => readFileSync(new URL(name, report), "utf8")).join("\n");
      const names = [...text.matchAll(/^(?:function|const) (\w+)/gm)].map(([, name]) => name);
      return { contents: `${text}\nexport { ${names.join(", ")} };`, loader: "js" };
    });
  },
};

await build({
  entryPoints: { page: "src/main.ts" },
  outdir: "dist",
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  plugins: [figures],
});
const styles = [readFileSync(new URL("page.css", report), "utf8"), readFileSync("src/page.css", "utf8")];
writeFileSync("dist/page.css", styles.join("\n"));
writeFileSync("dist/index.html", readFileSync("src/index.html"));

// A test of the crate compares this with the sources, so that nobody forgets to build.
const sources = readdirSync("src").sort().map((name) => [name, readFileSync(`src/${name}`)]);
for (const name of [...scripts, "page.css"]) sources.push([`report/${name}`, readFileSync(new URL(name, report))]);
const lines = sources.map(([name, text]) => `${createHash("sha256").update(text).digest("hex")}  ${name}\n`);
writeFileSync("dist/SOURCES", lines.join(""));
