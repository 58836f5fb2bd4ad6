// A run, live.

import { count, duration, el, evaluationFigures, fixed, funnelFigures, model, nothing, reviewFigures, timeFigures, trainingFigures, withModels } from "figures";
import { type Snapshot, type Stage, tell } from "./api";
import { type Leave, ago, badge, choice, field, gain, link, place, say, trying } from "./parts";

const ORIGIN_OF: Record<string, Record<string, string>> = { pool: {}, new_prompt: { origin: "new_prompt" }, worse_response: { origin: "worse_response" } };

export function runView(host: HTMLElement, name: string): Leave {
  const section = (id: string, title: string, about: string) => {
    const body = el("div", { class: "body" });
    return { body, whole: el("section", { id, "aria-labelledby": `${id}-title` }, el("h2", { id: `${id}-title` }, title), el("p", { class: "about" }, about), body) };
  };
  const top = el("div", { class: "top-of-run" });
  const stages = el("div", { class: "stages" });
  const parts = {
    training: section("training", "Training", "Over optimizer steps: thin lines are single steps, thick lines their moving averages, dots the held-out examples. A click on a step shows its examples."),
    funnel: section("funnel", "Records", "What went into each stage, what came out, and what became of the rest."),
    review: section("review", "Review", "Scores from 0 to 10; a click on a column lists its records. The share of cases in which a seed scores above a damaged seed (area under the ROC curve) says what the scores are worth: 0.5 is chance, 1 is perfect."),
    evaluation: section("evaluation", "Evaluation", "Each model on held-out tasks with intervals of a bootstrap over the items. The difference is paired, item by item, with the model before the run."),
    time: section("time", "Time and tokens", "Wall-clock time over all sessions of the run. The rate counts tokens read, written and trained on."),
  };
  const log = el("div");
  host.append(el("h1", {}, name), top, stages, ...Object.values(parts).map(({ whole }) => whole), log);
  top.append(nothing("Waiting for the run…"));

  const on = {
    bin: (iteration: number, origin: string, bin: number) => {
      const range: Record<string, string> = { reviewed: String(iteration), least: String(bin), sort: "lowest_score" };
      if (bin < 9) range.below = String(bin + 1);
      if (origin !== "pool") range.iteration = String(iteration);
      location.hash = link(["run", name, "records"], { ...range, ...ORIGIN_OF[origin] });
    },
    step: (iteration: number, phase: string, step: number) => {
      location.hash = link(["run", name, "step", iteration, phase, step]);
    },
  };
  parts.training.whole.append(stepForm(on.step));
  const draw = (snapshot: Snapshot) => {
    const { overview, run } = snapshot;
    const { summary } = run;
    place(top, [overview, snapshot.can_stop, summary.iterations.map((one) => one.conclusion), ago(overview.last_activity)], () => header(name, snapshot));
    place(stages, [summary.before, summary.iterations.map((one) => one.stages), overview.status], () => stageStrip(snapshot));
    const draws: [HTMLElement, unknown, () => unknown][] = [
      [parts.training.body, run.training, () => trainingFigures(run, on)],
      [parts.funnel.body, [run.funnels], () => funnelFigures(run)],
      [parts.review.body, summary.iterations.map((one) => [(one as never as { scores: unknown }).scores, (one as never as { separations: unknown }).separations]), () => reviewFigures(run, on)],
      [parts.evaluation.body, [summary.baseline, summary.iterations.map((one) => (one as never as { tasks: unknown }).tasks)], () => evaluationFigures(run)],
      [parts.time.body, [summary.before, summary.iterations.map((one) => one.stages)], () => timeFigures(run)],
    ];
    for (const [body, state, figures] of draws) place(body, state, () => el("div", {}, figures() as never));
    place(log, snapshot.log, () => (snapshot.log.length ? el("details", { class: "log", open: overview.status === "stopped" && summary.iterations.length === 0 }, el("summary", {}, "What its process wrote"), el("pre", { tabindex: "0" }, snapshot.log.join("\n"))) : []));
  };
  const open = () => {
    const source = new EventSource(`/api/run/events?${new URLSearchParams({ run: name })}`);
    let heard = false;
    source.onmessage = (event) => {
      if (!heard) say("");
      heard = true;
      draw(JSON.parse(event.data));
    };
    source.onerror = () => say(heard ? "The connection is lost; it is tried again." : "There is nothing to see of this run yet; it is tried again.", heard);
    return source;
  };
  let source = open();
  // A run that is only being started has no ledger yet, and a browser does not ask again where it was told so.
  const timer = setInterval(() => {
    if (source.readyState === EventSource.CLOSED) source = open();
  }, 2000);
  return () => {
    clearInterval(timer);
    source.close();
  };
}

// The way to a step for those who do not point at a chart.
function stepForm(open: (iteration: number, phase: string, step: number) => void): HTMLElement {
  const iteration = el("input", { type: "number", min: "1", value: "1" });
  const phase = choice([["sft", "fine-tuning"], ["preference", "preference"]], "sft", () => {});
  const step = el("input", { type: "number", min: "1", value: "1" });
  const onsubmit = (event: Event) => {
    event.preventDefault();
    open(Number(iteration.value), phase.value, Number(step.value));
  };
  return el("form", { class: "to-step", onsubmit }, field("Iteration", iteration), field("Phase", phase), field("Step", step), el("button", { type: "submit" }, "Show its examples"));
}

function header(name: string, { overview, run, can_stop }: Snapshot): Node[] {
  const stop = trying(async () => {
    await tell("stop", { run: name });
    say("It stops after what is being computed.");
  });
  const resume = trying(async () => {
    await tell("resume", { run: name });
    say("It goes on.");
  });
  const kind = overview.status === "working" ? "used" : overview.status === "finished" ? "better" : "plain";
  const last = run.summary.iterations.at(-1);
  return [
    el("p", { class: "badges" }, badge(overview.status, kind),
      el("span", {}, `iteration ${overview.iteration} of ${overview.planned}${overview.stage_title ? `, ${overview.stage_title}` : ""}`),
      el("span", { class: "muted" }, `written ${ago(overview.last_activity)}`),
      can_stop && el("button", { type: "button", onclick: stop }, "Stop in order"),
      overview.status === "working" && !can_stop && el("span", { class: "muted" }, "started elsewhere: Ctrl-C there stops it"),
      overview.status === "stopped" && el("button", { type: "button", class: "main", onclick: resume }, "Resume")),
    el("dl", { class: "figures" },
      figure("Seeds", count(run.summary.seeds)),
      figure("Time", duration(overview.seconds)),
      figure("Tokens/s, this stage", overview.tokens_per_second === null ? "–" : fixed(overview.tokens_per_second, 0)),
      overview.gain && figure("Gain, standard deviations", [model(overview.model), ` ${gain(overview.gain)}`])),
    ...run.summary.iterations.map((one) => el("p", { class: "conclusion" }, withModels(one.conclusion))),
    ...(last && last.unfinished === null ? [el("p", { class: "conclusion muted" }, last.advice)] : []),
  ];
}

function figure(title: string, value: unknown): HTMLElement {
  return el("div", {}, el("dt", {}, title), el("dd", {}, value as never));
}

function stageStrip({ overview, run }: Snapshot): Node[] {
  const strip = (title: string, stages: Stage[], names: string[]) => el("div", { class: "strip" }, el("h3", {}, title),
    el("ol", {}, names.map((stage) => {
      const found = stages.find((one) => one.stage === stage);
      const now = !found?.finished && overview.stage === stage && stages.length > 0;
      const state = found?.finished ? "done" : now ? (overview.status === "working" ? "now" : "halted") : "ahead";
      const words = { done: "finished", now: "at work", halted: "stopped here", ahead: "not begun" }[state];
      return el("li", { class: state }, el("b", {}, run.stages[stage]),
        el("small", {}, words, found && `, ${duration(found.seconds)}`, found?.tokens_per_second && `, ${count(found.tokens_per_second)} tokens/s`));
    })));
  const order = ["calibrate", "review_seeds", "generate", "clean", "review_new", "annotate", "sft", "preference", "evaluate", "merge"];
  const current = run.summary.iterations.at(-1);
  const shown = overview.iteration === 0 || !current ? [strip("Before the first iteration", run.summary.before, ["import", "evaluate"])] : [];
  return [...shown, ...(current ? [strip(`Iteration ${current.iteration}`, current.stages, order)] : [])];
}
