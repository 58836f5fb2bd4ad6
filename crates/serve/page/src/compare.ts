// Two to six runs over each other.

import { el, lineChart, nothing, table, taskTable } from "figures";
import { type Comparison, type Overview, type Snapshot, ask } from "./api";
import { type Leave, failed, gain, link, say } from "./parts";

const MOST = 6;
const COLOURS = ["one", "two", "three", "four", "five", "six"];

export function compareView(host: HTMLElement, given: URLSearchParams): Leave {
  let chosen: string[] = [];
  try {
    chosen = JSON.parse(given.get("runs") ?? "[]");
  } catch {
    say("these are no runs", true);
  }
  const result = el("div", { "aria-live": "polite" });
  const boxes = el("fieldset", { class: "boxes" }, el("legend", {}, "Two to six runs; the first is what the others are compared with"));
  host.append(el("h1", {}, "Compare"), boxes, result);
  const change = (name: string, isChosen: boolean) => {
    chosen = isChosen ? [...chosen, name] : chosen.filter((other) => other !== name);
    location.hash = link(["compare"], { runs: JSON.stringify(chosen) });
  };
  const draw = async () => {
    const runs = (await ask<Overview[]>("runs")).filter((run) => run.status !== "unreadable");
    boxes.append(...runs.map((run) => el("label", {}, el("input", {
      type: "checkbox", checked: chosen.includes(run.name), disabled: !chosen.includes(run.name) && chosen.length >= MOST,
      onchange: (event: Event) => change(run.name, (event.target as HTMLInputElement).checked),
    }), ` ${run.name}`)));
    if (chosen.length < 2) {
      result.append(nothing("Choose runs to compare."));
      return;
    }
    const [found, ...snapshots] = await Promise.all([ask<Comparison>("compare", { runs: JSON.stringify(chosen) }), ...chosen.map((run) => ask<Snapshot>("run", { run }))]);
    result.append(...drawn(chosen, found, snapshots));
  };
  draw().catch(failed);
  return () => {};
}

function drawn(names: string[], found: Comparison, snapshots: Snapshot[]): Node[] {
  const settings = found.settings.length
    ? table(["setting", ...names], found.settings.map((setting) => [setting.name, ...setting.values.map((value) => el("code", {}, value ?? "–"))]))
    : nothing("The settings are the same.");
  const tasks = new Map<string, { baseline: unknown; compared: unknown[] }>();
  found.differences.forEach((one, place) => {
    for (const { task, comparison } of one.tasks) {
      const label = names[place + 1];
      const entry = tasks.get(task) ?? { baseline: { task, metric: comparison.metric, estimate: comparison.before, label: names[0] }, compared: [] };
      entry.compared.push({ label, ...comparison });
      tasks.set(task, entry);
    }
  });
  const notes = found.differences.flatMap((one, place) => one.notes.map((note) => el("p", { class: "muted" }, `${names[place + 1]}: ${note}.`)));
  const gains = found.differences.map((one, place) => el("li", {}, `${names[place + 1]}: `, one.gain ? el("b", {}, gain(one.gain)) : "no task in common", ` (its model M_${one.model} against M_${one.first_model} of ${names[0]})`));
  return [
    el("h2", {}, "Settings that differ"), settings,
    el("h2", {}, "Evaluation"), el("p", { class: "about" }, "Paired differences on the items that both have answered, with 95 % intervals."),
    el("ul", { class: "gains" }, gains),
    ...[...tasks.values()].map(({ baseline, compared }) => taskTable(baseline, compared)), ...notes,
    el("h2", {}, "Training"), el("div", { class: "charts" }, charts(names, snapshots)),
  ];
}

function charts(names: string[], snapshots: Snapshot[]): HTMLElement[] {
  const last = Math.max(0, ...snapshots.flatMap(({ run }) => run.training.map((one) => one.iteration)));
  const found: HTMLElement[] = [];
  for (let iteration = 1; iteration <= last; iteration += 1) {
    for (const phase of ["sft", "preference"]) {
      const series = snapshots.map(({ run }, place) => ({
        name: names[place] ?? "", kind: "steps", colour: COLOURS[place] ?? "one",
        points: (run.training.find((one) => one.iteration === iteration && one.phase === phase)?.steps ?? []).map((step): [number, number] => [step.step, step.loss]),
      }));
      if (series.some((one) => one.points.length > 0)) found.push(lineChart(`${phase === "sft" ? "Fine-tuning" : "Preference"} loss, iteration ${iteration}`, series));
    }
  }
  return found.length ? found : [nothing("No step was made.")];
}
