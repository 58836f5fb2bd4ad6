// The page: which view an address names.

import { el } from "figures";
import { type About, ask } from "./api";
import { compareView } from "./compare";
import { judgeView } from "./judge";
import { type Leave, failed, link, say } from "./parts";
import { recordView } from "./record";
import { recordsView } from "./records";
import { runView } from "./run";
import { runsView } from "./runs";
import { stepView } from "./step";
import { talkView } from "./talk";

export type Address = { parts: string[]; parameters: URLSearchParams };

const main = document.getElementById("main") as HTMLElement;
let leave: Leave = () => {};
let about: About = { version: "", folder: "", person: "" };

function address(): Address {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  let parts: string[] = [];
  try {
    parts = path.split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    say("there is nothing at this address", true);
  }
  return { parts, parameters: new URLSearchParams(query) };
}

function places(run: string | null, view: string): void {
  const all: [string, string, string][] = run === null
    ? [["runs", "Runs", "#/"], ["compare", "Compare", link(["compare"])]]
    : [["runs", "Runs", "#/"], ["run", run, link(["run", run])], ["records", "Records", link(["run", run, "records"])],
      ["judge", "Judge", link(["run", run, "judge"])], ["talk", "Talk", link(["run", run, "talk"])],
      ["compare", "Compare", link(["compare"], { runs: JSON.stringify([run]) })]];
  document.getElementById("places")?.replaceChildren(...all.map(([name, title, href]) =>
    el("a", { href, "aria-current": name === view ? "page" : null }, title)));
}

function show(): void {
  leave();
  leave = () => {};
  say("");
  const { parts, parameters } = address();
  const host = el("div", { class: "view" });
  main.replaceChildren(host);
  const [first = "", run = "", view = "run", ...rest] = parts;
  document.title = first === "run" ? `${run} · ${view} · lancer` : `${first || "runs"} · lancer`;
  const enter = (): Leave => {
    if (first === "compare") return places(null, "compare"), compareView(host, parameters);
    if (first !== "run") return places(null, "runs"), runsView(host);
    places(run, view === "record" ? "records" : view === "step" ? "run" : view);
    if (view === "records") return recordsView(host, run, parameters);
    if (view === "record") return recordView(host, run, rest[0] ?? "");
    if (view === "step") return stepView(host, run, rest);
    if (view === "judge") return judgeView(host, run, parameters, about.person);
    if (view === "talk") return talkView(host, run);
    return runView(host, run);
  };
  leave = enter();
}

async function begin(): Promise<void> {
  about = await ask<About>("about");
  const folder = document.getElementById("folder");
  if (folder) folder.textContent = about.folder;
  window.addEventListener("hashchange", () => {
    show();
    main.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  });
  show();
}

// A link within the page must not become an address of a view.
document.querySelector(".skip")?.addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
begin().catch(failed);
