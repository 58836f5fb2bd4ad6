// Figures of a run: its evaluation, funnels, reviews, training and time. Each takes the run (what `RunView` holds) and gives
// elements; `on` holds what is called where a bin or a step is clicked.

const tokensOf = (stage) => stage.read + stage.generated + stage.trained;
const sum = (values) => values.reduce((total, value) => total + value, 0);

function iterationHeading(run, iteration) {
  return run.summary.iterations.length > 1 && el("h3", {}, `Iteration ${iteration}`);
}

const METRICS = {
  accuracy: { name: "accuracy, %", scale: 100, digits: 1, better: "higher is better" },
  correct_probability: { name: "probability of the correct choices, %", scale: 100, digits: 1, better: "higher is better" },
  nll: { name: "negative log-likelihood, nats a token", scale: 1, digits: 3, better: "lower is better" },
};
const VERDICTS = { better: "better", worse: "worse", not_told_apart: "not told apart" };

function evaluationFigures({ summary }) {
  const tasks = summary.baseline.map((baseline) => {
    const compared = summary.iterations.flatMap((iteration) =>
      iteration.tasks.filter((task) => task.task === baseline.task).map((task) => ({ number: iteration.iteration, rejected: iteration.rejected, ...task.comparison })));
    return taskTable(baseline, compared);
  });
  return tasks.length ? tasks : [nothing("No task was evaluated.")];
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
    row(baseline.label ?? model(0), baseline.estimate, "before", [el("td"), el("td"), el("td"), el("td")]),
    ...compared.map((one) => row([one.label ?? model(one.number), one.rejected && ", rejected"], one.after, one.verdict, [
      el("td", { class: "drawn" }, interval(one.difference, differences, one.verdict, 0)),
      el("td", { class: "number" }, el("b", {}, difference(one.difference.mean))),
      el("td", { class: "number muted" }, `${difference(one.difference.low)} to ${difference(one.difference.high)}`),
      el("td", {}, el("span", { class: `verdict ${one.verdict}` }, VERDICTS[one.verdict])),
    ])),
  ];
  return el("div", { class: "task" },
    el("h3", {}, baseline.task, " ", el("small", {}, `${name} · ${better} · ${count(baseline.estimate.items)} items`)),
    el("div", { class: "scroll", tabindex: "0" }, el("table", { class: baseline.label ? "models named" : "models" },
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

function funnelFigures(run) {
  const { iterations } = run.summary;
  if (iterations.length === 0) return [nothing("No iteration has begun.")];
  return iterations.map((iteration, place) => {
    const rows = run.funnels[place];
    const widest = Math.max(1, ...rows.map((row) => barOf(row, iteration.funnel)[0]));
    return [iterationHeading(run, iteration.iteration), el("div", { class: "funnel" },
      rows.map((row) => funnelRow(run, row, barOf(row, iteration.funnel), widest)))];
  });
}

function funnelRow(run, row, [whole, through], widest) {
  return el("div", { class: "stage" },
    el("div", { class: "name" }, run.stages[row.stage]),
    el("div", { class: "flow" }, el("b", {}, count(row.input)), ` ${row.input_unit} → `, el("b", {}, count(row.output)), ` ${row.output_unit}`),
    el("div", { class: "bars" }, placed("whole", 0, whole / widest), placed("through", 0, through / widest)),
    el("ul", { class: "parts" }, row.parts.map(([what, records]) => el("li", {}, el("b", {}, count(records)), ` ${what}`))));
}

function reviewFigures(run, on = {}) {
  const { iterations } = run.summary;
  if (iterations.length === 0) return [nothing("Nothing was reviewed.")];
  return iterations.map((iteration) => {
    const thresholds = iteration.funnel.review_seeds.reached.map((reached) => reached.score);
    const histograms = [["pool", "Pool of seeds"], ["new_prompt", "Responses to new prompts"], ["worse_response", "Worse responses"]]
      .filter(([name]) => iteration.scores[name])
      .map(([name, title]) => scoreHistogram(title, iteration.scores[name], thresholds, on.bin && ((bin) => on.bin(iteration.iteration, name, bin))));
    return [iterationHeading(run, iteration.iteration), el("div", { class: "charts" }, histograms),
      iteration.separations.length > 0 && separations(iteration.separations)];
  });
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

function trainingFigures(run, on = {}) {
  if (run.training.length === 0) return [nothing("No step was made.")];
  return run.summary.iterations.map((iteration) => {
    const curves = run.training.filter((one) => one.iteration === iteration.iteration);
    if (curves.length === 0) return null;
    const notes = [["Fine-tuning", iteration.sft], ["Preference", iteration.preference]].flatMap(([phase, of]) =>
      (of?.notes ?? []).map((note) => el("p", { class: "muted" }, `${phase}: ${note}.`)));
    return [iterationHeading(run, iteration.iteration),
      el("div", { class: "charts" }, curves.flatMap((one) => phaseCharts(one, on.step && ((step) => on.step(one.iteration, one.phase, step))))), notes];
  });
}

function phaseCharts({ phase, steps, held_out }, onStep) {
  const over = (rows, value) => rows.map((row) => [row.step, value(row)]).filter(([, y]) => Number.isFinite(y));
  const chart = (title, series, range) => lineChart(title, series, range, onStep);
  const lines = (value) => [
    { name: "training", kind: "steps", colour: "one", points: over(steps, value) },
    { name: "held out", kind: "held-out", colour: "two", points: over(held_out, value) },
  ];
  const sides = (chosen, rejected) => [
    { name: "chosen", kind: "steps", colour: "one", points: over(steps, (row) => row.preference?.[chosen]) },
    { name: "rejected", kind: "steps", colour: "two", points: over(steps, (row) => row.preference?.[rejected]) },
  ];
  const name = phase === "sft" ? "Fine-tuning" : "Preference";
  const optimizer = [
    chart(`${name}: gradient norm`, lines((row) => row.gradient_norm)),
    chart(`${name}: learning rate, millionths`, lines((row) => row.learning_rate * 1e6)),
  ];
  if (phase === "sft") return [chart("Fine-tuning: loss", lines((row) => row.loss)), ...optimizer];
  return [
    chart("Preference: loss", lines((row) => row.loss)),
    chart("Preference: reward margin", lines((row) => row.preference?.reward_margin)),
    chart("Preference: pairs ranked right", lines((row) => row.preference?.accuracy), [0, 1]),
    chart("Preference: rewards", sides("chosen_reward", "rejected_reward")),
    chart("Preference: log-probability of a response", sides("chosen_log_prob", "rejected_log_prob")),
    ...optimizer,
  ];
}

function timeFigures(run) {
  const { before, iterations } = run.summary;
  const longest = Math.max(1e-9, ...[before, ...iterations.map((one) => one.stages)].flat().map((stage) => stage.seconds));
  const rows = (stages) => stages.map((stage) => [
    el("span", {}, run.stages[stage.stage], !stage.finished && el("small", { class: "muted" }, " unfinished")),
    el("div", { class: "bars" }, placed("through", 0, stage.seconds / longest)),
    duration(stage.seconds),
    ...[stage.read, stage.reused, stage.generated, stage.trained].map((tokens) => (tokens > 0 ? count(tokens) : "")),
    stage.tokens_per_second === null ? "" : count(stage.tokens_per_second),
  ]);
  const columns = ["stage", ["", "wide"], ["time", "number"], ["read", "number"], ["reused", "number"], ["written", "number"],
    ["trained on", "number"], ["tokens/s", "number"]];
  const groups = [["Before the first iteration", before], ...iterations.map((one) => [`Iteration ${one.iteration}`, one.stages])];
  const figures = groups.filter(([, stages]) => stages.length > 0).map(([title, stages]) =>
    [el("h3", {}, title, " ", el("small", {}, duration(sum(stages.map((stage) => stage.seconds))))), table(columns, rows(stages))]);
  const files = iterations.flatMap((one) => [["model folder", one.files.model], ["model GGUF", one.files.gguf], ["training data", one.files.exports]]
    .filter(([, path]) => path).map(([what, path]) => [model(one.iteration), what, el("code", {}, path)]));
  return [...figures, files.length > 0 && [el("h3", {}, "Files"), table(["", "what", "where"], files)]];
}
