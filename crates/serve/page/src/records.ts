// Records: filters, search, sort, page by page.

import { ORIGINS, count, el, fixed, nothing, plain } from "figures";
import { type RecordPage, type RecordRow, ask } from "./api";
import { type Leave, choice, failed, field, link } from "./parts";

const FATES: [string, string][] = [["", "any fate"], ["kept", "kept by cleaning"], ["dropped", "dropped by cleaning"], ["pool", "in the pool of seeds"], ["sft", "fine-tuned on"],
  ["chosen", "chosen side of a pair"], ["rejected", "rejected side of a pair"], ["judged", "judged by a person"], ["unscored", "a review without a score"]];
const SORTS: [string, string][] = [["key", "by key"], ["newest", "newest first"], ["lowest_score", "lowest score first"], ["highest_score", "highest score first"]];

export function recordsView(host: HTMLElement, run: string, given: URLSearchParams): Leave {
  const value = (name: string) => given.get(name) ?? "";
  let waiting: ReturnType<typeof setTimeout> | undefined;
  const soon = () => {
    clearTimeout(waiting);
    waiting = setTimeout(search, 250);
  };
  const number = (name: string, label: string) => el("input", { type: "number", min: "0", max: "10", step: "0.5", value: value(name), placeholder: label, oninput: soon });
  const controls = {
    text: el("input", { type: "search", value: value("text"), placeholder: "any words", oninput: soon }),
    origin: choice([["", "any origin"], ["seed", "seed"], ["new_prompt", "new prompt"], ["worse_response", "worse response"]], value("origin"), search),
    iteration: el("input", { type: "number", min: "0", value: value("iteration"), placeholder: "any", oninput: soon }),
    fate: choice(FATES, value("fate"), search),
    least: number("least", "0"), below: number("below", "10"),
    sort: choice(SORTS, value("sort") || "key", search),
  };
  const matches = el("p", { class: "muted matches", role: "status" });
  const rows = el("tbody");
  const more = el("button", { type: "button", hidden: true }, "Show more");
  const labels = { text: "Text", origin: "Origin", iteration: "Iteration", fate: "Fate", least: "Score from", below: "Score below", sort: "Order" };
  const names = Object.keys(labels) as (keyof typeof labels)[];
  host.append(el("h1", {}, "Records"),
    el("form", { class: "filters wide-filters", "aria-label": "Filter the records", onsubmit: (event: Event) => event.preventDefault() },
      names.map((name) => field(labels[name], controls[name]))),
    given.get("reviewed") ? el("p", { class: "about" }, `Scores are from the reviews of iteration ${given.get("reviewed")}.`) : "",
    matches,
    el("div", { class: "scroll", tabindex: "0" }, el("table", { class: "records" }, el("caption", { class: "unseen" }, "Records that fit"),
      el("thead", {}, el("tr", {}, ["score", "record", "prompt", "response", "fate"].map((title) => el("th", { scope: "col" }, title)))), rows)), more);
  let asking = 0;
  let next: string | null = null;
  const parameters = (): Record<string, string> => Object.fromEntries(
    [...names.map((name) => [name, controls[name].value] as [string, string]), ["reviewed", given.get("reviewed") ?? ""] as [string, string]].filter(([, text]) => text !== ""));
  async function fetchPage(after: string | null): Promise<void> {
    asking += 1;
    const mine = asking;
    const page = await ask<RecordPage>("records", { run, ...parameters(), after });
    // An older question may be answered later.
    if (mine !== asking) return;
    if (after === null) rows.replaceChildren();
    rows.append(...page.rows.map((row) => line(run, row)));
    next = page.next;
    more.hidden = next === null;
    matches.textContent = next === null ? `${count(rows.childElementCount)} found` : `the first ${count(rows.childElementCount)}`;
    if (rows.childElementCount === 0) rows.append(el("tr", {}, el("td", { colspan: "5" }, nothing("No record fits."))));
  }
  function search(): void {
    history.replaceState(null, "", link(["run", run, "records"], parameters()));
    fetchPage(null).catch(failed);
  }
  more.addEventListener("click", () => fetchPage(next).catch(failed));
  fetchPage(null).catch(failed);
  return () => clearTimeout(waiting);
}

function line(run: string, row: RecordRow): HTMLElement {
  const fate = [row.rule && `dropped: ${plain(row.rule)}`, row.judgement && row.judgement !== "withdraw" && `a person: ${row.judgement}`].filter(Boolean).join(", ");
  return el("tr", { class: row.rule ? "dropped" : null },
    el("td", { class: "number" }, el("b", {}, fixed(row.score, 1))),
    el("th", { scope: "row" }, el("a", { href: link(["run", run, "record", row.key]) }, row.key), el("small", {}, row.origin === "seed" ? "seed" : `${ORIGINS[row.origin] ?? row.origin}, iteration ${row.iteration}`)),
    el("td", { class: "words" }, row.prompt), el("td", { class: "words" }, row.response), el("td", {}, el("small", {}, fate)));
}
