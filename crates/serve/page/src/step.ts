// A training step and the examples of its batch.

import { count, el, fixed, firstWords, nothing, quote } from "figures";
import { type Batch, ask } from "./api";
import { sides } from "./difference";
import { type Leave, failed, link } from "./parts";

export function stepView(host: HTMLElement, run: string, [iteration = "1", phase = "sft", step = "1"]: string[]): Leave {
  const name = phase === "sft" ? "Fine-tuning" : "Preference";
  const number = Number(step);
  const to = (other: number) => link(["run", run, "step", iteration, phase, other]);
  host.append(el("h1", {}, `${name}, iteration ${iteration}, step ${step}`),
    el("p", { class: "badges" }, number > 1 && el("a", { href: to(number - 1) }, "← step before"), el("a", { href: to(number + 1) }, "next step →")));
  ask<Batch>("batch", { run, iteration, phase, step }).then((found) => host.append(...drawn(run, found)), failed);
  return () => {};
}

function drawn(run: string, { step, examples }: Batch): Node[] {
  const figure = (title: string, value: string) => el("div", {}, el("dt", {}, title), el("dd", {}, value));
  const figures = el("dl", { class: "figures" }, figure("Loss", fixed(step.loss, 4)), figure("Gradient norm", fixed(step.gradient_norm, 3)),
    figure("Learning rate", step.learning_rate.toExponential(2)), figure("Examples", count(step.examples)), figure("Tokens", count(step.tokens)));
  if (examples.length === 0) return [figures, nothing("Which examples it saw is not in this run's ledger: an older lancer made the step.")];
  const rows = examples.map((one) => el("tr", {},
    el("td", { class: "number" }, el("b", {}, fixed(one.loss, 3))), el("td", { class: "number" }, fixed(one.margin, 3)),
    el("th", { scope: "row" }, el("a", { href: link(["run", run, "record", one.record]) }, one.key)),
    el("td", { class: "words" }, el("details", {}, el("summary", {}, firstWords(one.prompt, 90)), quote("Prompt", one.prompt),
      one.rejected === null ? quote("Response", one.response) : sides(["Chosen", "Rejected"], one.response, one.rejected)))));
  return [figures, el("h2", {}, "Examples"), el("p", { class: "about" }, "The largest loss first, as it was before the step: nats a token in fine-tuning, the pair's own loss in preference training."),
    el("div", { class: "scroll", tabindex: "0" }, el("table", { class: "records of-step" }, el("thead", {}, el("tr", {}, ["loss", "margin", "example", "prompt"].map((title) => el("th", { scope: "col" }, title)))), el("tbody", {}, rows)))];
}
