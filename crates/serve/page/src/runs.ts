// All runs, and the form that starts one.

import { duration, el, fixed, model, nothing, table } from "figures";
import { type Overview, ask, tell } from "./api";
import { type Leave, ago, badge, choice, failed, field, gain, link, place, say, trying } from "./parts";

const EVERY = 3000;
const KINDS: Record<string, string> = { working: "used", finished: "better", stopped: "plain", unreadable: "worse" };

export function runsView(host: HTMLElement): Leave {
  const list = el("div", { class: "list-of-runs" });
  host.append(el("h1", {}, "Runs"), list, form());
  const draw = async () => {
    const runs = await ask<Overview[]>("runs");
    // Times pass without news.
    place(list, runs.map((run) => [run, ago(run.last_activity)]), () => (runs.length ? runTable(runs) : nothing("There is no run in this folder yet. Start one below.")));
  };
  draw().catch(failed);
  const timer = setInterval(() => draw().catch(failed), EVERY);
  return () => clearInterval(timer);
}

function runTable(runs: Overview[]): HTMLElement {
  const columns: (string | [string, string])[] = ["run", "status", "at", ["tokens/s", "number"], ["time", "number"], "gain in standard deviations, 95 %", "last written"];
  return table(columns, runs.map((run) => [
    run.status === "unreadable" ? run.name : el("a", { href: link(["run", run.name]) }, run.name),
    [badge(run.status, KINDS[run.status]), run.problem && el("small", { class: "problem" }, " ", run.problem)],
    run.status === "unreadable" ? "" : `iteration ${run.iteration} of ${run.planned}${run.stage_title ? `, ${run.stage_title}` : ""}`,
    run.status === "working" ? fixed(run.tokens_per_second, 0) : "",
    run.seconds ? duration(run.seconds) : "",
    run.gain ? [model(run.model), " ", el("span", { class: run.outcome === "better" ? "better" : run.outcome === "worse" ? "worse" : "muted" }, gain(run.gain))] : "",
    ago(run.last_activity),
  ]));
}

function form(): HTMLElement {
  const text = (placeholder = "") => el("input", { type: "text", placeholder, autocomplete: "off", spellcheck: "false", oninput: preview });
  const number = (placeholder: string) => el("input", { type: "number", min: "1", placeholder, oninput: preview });
  const controls = {
    run: text("mine"), seeds: text("/data/seeds.jsonl"), model: text("the default model"), recipe: text("none"), tasks: text("none"),
    iterations: number("1"), seed: number("1"),
    review: choice([["", "as the recipe says"], ["auto", "auto"], ["rubric", "rubric"], ["expected", "expected"], ["likelihood", "likelihood"], ["none", "none"]], "", preview),
    set: el("textarea", { rows: "3", spellcheck: "false", placeholder: "sft.train.epochs=2", oninput: preview }),
  };
  const whole = (control: HTMLInputElement) => (control.value === "" ? null : Number(control.value));
  const lines = (control: HTMLTextAreaElement | HTMLInputElement) => control.value.split("\n").map((line) => line.trim()).filter(Boolean);
  const asked = () => ({
    run: controls.run.value.trim(), recipe: controls.recipe.value, model: controls.model.value, seeds: controls.seeds.value,
    tasks: controls.tasks.value.split(",").map((task) => task.trim()).filter(Boolean), iterations: whole(controls.iterations),
    seed: whole(controls.seed), review: controls.review.value, set: lines(controls.set),
  });
  const command = el("pre", { class: "command", tabindex: "0", "aria-label": "The command that this stands for" }, "lancer evolve");
  let waiting: ReturnType<typeof setTimeout> | undefined;
  function preview(): void {
    clearTimeout(waiting);
    waiting = setTimeout(trying(async () => {
      if (asked().run === "") return;
      command.textContent = (await tell<{ command: string }>("command", asked())).command;
    }), 150);
  }
  const submit = trying(async () => {
    await tell("start", asked());
    say(`${asked().run} is starting`);
    location.hash = link(["run", asked().run]);
  });
  const onsubmit = (event: Event) => {
    event.preventDefault();
    if (asked().run === "") say("give the run a name", true);
    else submit();
  };
  return el("details", { class: "start" }, el("summary", {}, "Start a run"),
    el("form", { class: "fields", onsubmit },
      field("Name", controls.run, "a new folder in this one"),
      field("Seeds", controls.seeds, "pairs of a prompt and a response"),
      field("Model", controls.model, "a GGUF file or a Hugging Face folder"),
      field("Recipe", controls.recipe, "a TOML file"),
      field("Tasks", controls.tasks, "TOML files, commas between them"),
      field("Iterations", controls.iterations), field("Seed of what is drawn", controls.seed), field("Review", controls.review),
      field("Other settings", controls.set, "one a line; lancer evolve --help names all"),
      el("div", { class: "whole-row" }, el("h4", {}, "The command that this stands for"), command),
      el("div", { class: "whole-row" }, el("button", { type: "submit", class: "main" }, "Start"))));
}
