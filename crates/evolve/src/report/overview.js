// The sections above the browser: what the run has come to.

const iterations = summary.iterations;
const allStages = [...summary.before, ...iterations.flatMap((iteration) => iteration.stages)];
const tokensOf = (stage) => stage.read + stage.generated + stage.trained;
const sum = (values) => values.reduce((total, value) => total + value, 0);

function drawHeader() {
  const name = summary.folder.split(/[\\/]/).filter(Boolean).pop() ?? "run";
  document.title = `${name} · lancer report`;
  document.getElementById("title").textContent = name;
  const last = iterations.at(-1);
  const finished = iterations.filter((iteration) => !iteration.unfinished).length;
  const state = `${finished} of ${summary.planned} ${summary.planned === 1 ? "iteration" : "iterations"} finished`;
  const next = last?.unfinished ? `; iteration ${last.iteration} stopped before the end of “${data.stages[last.unfinished]}”.` : ".";
  document.getElementById("state").textContent = state + next;
  document.getElementById("conclusions").append(
    ...iterations.map((iteration) => el("p", { class: "conclusion" }, withModels(iteration.conclusion))),
    last ? el("p", { class: "conclusion" }, last.advice) : "",
    iterations.some((iteration) => iteration.rejected) ? el("p", { class: "conclusion" }, withModels(`The model that the run has come to is M_${summary.kept.model}.`)) : "");
  document.getElementById("confidence").textContent = `${fixed(100 * summary.confidence, 0)} %`;

  const figure = (title, value, note) => el("div", {}, el("dt", {}, title), el("dd", {}, value, note && el("small", {}, note)));
  const kept = sum(iterations.map((iteration) => iteration.funnel.clean.kept));
  const made = sum(iterations.map((iteration) => iteration.funnel.clean.records));
  const arrow = ({ start, end }) => `${fixed(start, 3)} → ${fixed(end, 3)}`;
  const { sft } = iterations.findLast((iteration) => iteration.sft) ?? {};
  const { preference } = iterations.findLast((iteration) => iteration.preference) ?? {};
  const accuracy = preference?.held_out_accuracy ?? preference?.accuracy;
  const figures = document.getElementById("figures");
  figures.append(
    figure("Seeds", count(summary.seeds), rejectedNote()),
    figure("New records kept", count(kept), `of ${count(made)}`));
  if (sft) figures.append(figure("SFT loss", arrow(sft.held_out_loss ?? sft.loss), sft.held_out_loss ? "held out" : "training"));
  if (accuracy) figures.append(figure("Pairs ranked right", `${fixed(100 * accuracy.start, 0)} → ${fixed(100 * accuracy.end, 0)} %`, preference.held_out_accuracy ? "held out" : "training"));
  figures.append(
    figure("Time", duration(summary.seconds)),
    figure("Tokens", count(sum(allStages.map(tokensOf)))));
}

function rejectedNote() {
  const rejected = sum(Object.values(summary.rejected));
  return rejected > 0 && `${count(rejected)} ${rejected === 1 ? "line" : "lines"} rejected`;
}

function heading(iteration) {
  return iterations.length > 1 && el("h3", {}, `Iteration ${iteration}`);
}

const METRICS = {
  accuracy: { name: "accuracy, %", scale: 100, digits: 1, better: "higher is better" },
  correct_probability: { name: "probability of the correct choices, %", scale: 100, digits: 1, better: "higher is better" },
  nll: { name: "negative log-likelihood, nats a token", scale: 1, digits: 3, better: "lower is better" },
};
const VERDICTS = { better: "better", worse: "worse", not_told_apart: "not told apart" };

function drawEvaluation() {
  const tasks = summary.baseline.map((baseline) => {
    const compared = iterations.flatMap((iteration) =>
      iteration.tasks.filter((task) => task.task === baseline.task).map((task) => ({ number: iteration.iteration, rejected: iteration.rejected, ...task.comparison })));
    return taskTable(baseline, compared);
  });
  body("evaluation").append(...(tasks.length ? tasks : [nothing("No task was evaluated.")]));
}

function taskTable(baseline, compared) {
  const { name, scale, digits, better } = METRICS[baseline.metric];
  const number = (value) => fixed(value * scale, digits);
  const difference = (value) => signed(value * scale, digits);
  const range = rangeOf([baseline.estimate, ...compared.map((one) => one.after)]);
  const differences = compared.length ? rangeOf([{ low: 0, high: 0 }, ...compared.map((one) => one.difference)]) : [0, 1];
  const row = (label, estimate, className, cells) => el("tr", {},
    el("th", { scope: "row" }, label),
    el("td", { class: "drawn" }, interval(estimate, range, className)),
    el("td", { class: "number" }, el("b", {}, number(estimate.mean))),
    el("td", { class: "number muted" }, `${number(estimate.low)} to ${number(estimate.high)}`),
    cells);
  const rows = [
    row(model(0), baseline.estimate, "before", [el("td"), el("td"), el("td"), el("td")]),
    ...compared.map((one) => row([model(one.number), one.rejected && ", rejected"], one.after, one.verdict, [
      el("td", { class: "drawn" }, interval(one.difference, differences, one.verdict, 0)),
      el("td", { class: "number" }, el("b", {}, difference(one.difference.mean))),
      el("td", { class: "number muted" }, `${difference(one.difference.low)} to ${difference(one.difference.high)}`),
      el("td", {}, el("span", { class: `verdict ${one.verdict}` }, VERDICTS[one.verdict])),
    ])),
  ];
  return el("div", { class: "task" },
    el("h3", {}, baseline.task, " ", el("small", {}, `${name} · ${better} · ${count(baseline.estimate.items)} items`)),
    el("div", { class: "scroll" }, el("table", { class: "models" },
      el("thead", {}, el("tr", {},
        el("th"), el("th", { class: "drawn" }, "mean"), el("th"), el("th", { class: "number" }, "interval"),
        el("th", { class: "drawn" }, "difference"), el("th"), el("th", { class: "number" }, "interval"), el("th"))),
      el("tbody", {}, rows))));
}

// What a bar shows: how much of the whole came through.
function barOf(row, funnel) {
  const { generate, merge } = funnel;
  if (row.stage === "generate") return [generate.responses.samples + generate.worse_responses.samples, row.output];
  if (row.stage === "merge") return [merge.after, merge.joined];
  return [row.input, row.output];
}

function drawFunnel() {
  const host = body("funnel");
  if (iterations.length === 0) host.append(nothing("No iteration has begun."));
  iterations.forEach((iteration, place) => {
    const rows = data.funnels[place];
    const widest = Math.max(1, ...rows.map((row) => barOf(row, iteration.funnel)[0]));
    host.append(heading(iteration.iteration) || "", el("div", { class: "funnel" },
      rows.map((row) => funnelRow(row, barOf(row, iteration.funnel), widest))));
  });
  if (data.rejects.length > 0) {
    host.append(el("details", {}, el("summary", {}, `Lines of the files of seeds that were not usable: ${count(data.rejects.length)}`),
      table(["file", ["line", "number"], "reason", "text"], data.rejects.map((reject) => [reject.file, count(reject.place), reject.reason, el("code", {}, reject.text)]))));
  }
}

function funnelRow(row, [whole, through], widest) {
  return el("div", { class: "stage" },
    el("div", { class: "name" }, data.stages[row.stage]),
    el("div", { class: "flow" }, el("b", {}, count(row.input)), ` ${row.input_unit} → `, el("b", {}, count(row.output)), ` ${row.output_unit}`),
    el("div", { class: "bars" }, placed("whole", 0, whole / widest), placed("through", 0, through / widest)),
    el("ul", { class: "parts" }, row.parts.map(([what, records]) => el("li", {}, el("b", {}, count(records)), ` ${what}`))));
}

function drawReview() {
  const host = body("review");
  if (iterations.length === 0) host.append(nothing("Nothing was reviewed."));
  for (const iteration of iterations) {
    const thresholds = iteration.funnel.review_seeds.reached.map((reached) => reached.score);
    const histograms = [["pool", "Pool of seeds"], ["new_prompt", "Responses to new prompts"], ["worse_response", "Worse responses"]]
      .filter(([name]) => iteration.scores[name])
      .map(([name, title]) => scoreHistogram(title, iteration.scores[name], thresholds));
    host.append(heading(iteration.iteration) || "", el("div", { class: "charts" }, histograms));
    if (iteration.separations.length > 0) host.append(separations(iteration.separations));
  }
}

function separations(found) {
  const kinds = [...new Set(found.flatMap((one) => one.by_damage.map(([damage]) => damage)))];
  const share = (value) => `${fixed(100 * value, 0)} %`;
  return table(
    ["mode", ["all damage", "number"], ...kinds.map((kind) => [plain(kind), "number"]), ["readable", "number"],
      ["seeds ≥ 7", "number"], ["damaged ≥ 7", "number"]],
    found.map((one, place) => [
      el("span", {}, one.mode, place === 0 && el("small", { class: "muted" }, " in use")),
      el("b", {}, fixed(one.auc, 3)),
      ...kinds.map((kind) => fixed(one.by_damage.find(([damage]) => damage === kind)?.[1], 3)),
      share(one.parsed), share(one.seeds_from[0]), share(one.damaged_from[0]),
    ]));
}

function drawTraining() {
  const host = body("training");
  if (data.training.length === 0) host.append(nothing("No step was made."));
  for (const iteration of iterations) {
    const curves = data.training.filter((one) => one.iteration === iteration.iteration);
    if (curves.length === 0) continue;
    host.append(heading(iteration.iteration) || "", el("div", { class: "charts" }, curves.flatMap(phaseCharts)));
    for (const [phase, of] of [["Fine-tuning", iteration.sft], ["Preference", iteration.preference]])
      for (const note of of?.notes ?? []) host.append(el("p", { class: "muted" }, `${phase}: ${note}.`));
  }
}

function phaseCharts({ phase, steps, held_out }) {
  const over = (rows, value) => rows.map((row) => [row.step, value(row)]).filter(([, y]) => Number.isFinite(y));
  const lines = (value) => [
    { name: "training", kind: "steps", colour: "one", points: over(steps, value) },
    { name: "held out", kind: "held-out", colour: "two", points: over(held_out, value) },
  ];
  if (phase === "sft") return [lineChart("Fine-tuning: loss", lines((row) => row.loss))];
  return [
    lineChart("Preference: loss", lines((row) => row.loss)),
    lineChart("Preference: reward margin", lines((row) => row.preference?.reward_margin)),
    lineChart("Preference: pairs ranked right", lines((row) => row.preference?.accuracy), [0, 1]),
    lineChart("Preference: log-probability of a response", [
      { name: "chosen", kind: "steps", colour: "one", points: over(steps, (row) => row.preference?.chosen_log_prob) },
      { name: "rejected", kind: "steps", colour: "two", points: over(steps, (row) => row.preference?.rejected_log_prob) },
    ]),
  ];
}

function drawTime() {
  const longest = Math.max(1e-9, ...allStages.map((stage) => stage.seconds));
  const rows = (stages) => stages.map((stage) => [
    el("span", {}, data.stages[stage.stage], !stage.finished && el("small", { class: "muted" }, " unfinished")),
    el("div", { class: "bars" }, placed("through", 0, stage.seconds / longest)),
    duration(stage.seconds),
    ...[stage.read, stage.reused, stage.generated, stage.trained].map((tokens) => (tokens > 0 ? count(tokens) : "")),
    stage.tokens_per_second === null ? "" : count(stage.tokens_per_second),
  ]);
  const columns = ["stage", ["", "wide"], ["time", "number"], ["read", "number"], ["reused", "number"], ["written", "number"],
    ["trained on", "number"], ["tokens/s", "number"]];
  const host = body("time");
  const groups = [["Before the first iteration", summary.before], ...iterations.map((one) => [`Iteration ${one.iteration}`, one.stages])];
  for (const [title, stages] of groups) {
    if (stages.length > 0) host.append(el("h3", {}, title, " ", el("small", {}, duration(sum(stages.map((stage) => stage.seconds))))), table(columns, rows(stages)));
  }
  const files = iterations.flatMap((one) => [["model folder", one.files.model], ["model GGUF", one.files.gguf], ["training data", one.files.exports]]
    .filter(([, path]) => path).map(([what, path]) => [model(one.iteration), what, el("code", {}, path)]));
  if (files.length > 0) host.append(el("h3", {}, "Files"), table(["", "what", "where"], files));
}

drawHeader();
drawEvaluation();
drawFunnel();
drawReview();
drawTraining();
drawTime();
