// The sections above the browser: what the run has come to.

const data = JSON.parse(document.getElementById("data").textContent);
const summary = data.summary;
const iterations = summary.iterations;
const allStages = [...summary.before, ...iterations.flatMap((iteration) => iteration.stages)];

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

// Puts figures into a section.
function draw(section, figures) {
  build(document.querySelector(`#${section} .body`), {}, [figures]);
}

function rejectedLines() {
  return data.rejects.length > 0 && el("details", {}, el("summary", {}, `Lines of the files of seeds that were not usable: ${count(data.rejects.length)}`),
    table(["file", ["line", "number"], "reason", "text"], data.rejects.map((reject) => [reject.file, count(reject.place), reject.reason, el("code", {}, reject.text)])));
}

drawHeader();
draw("evaluation", evaluationFigures(data));
draw("funnel", [funnelFigures(data), rejectedLines()]);
draw("review", reviewFigures(data));
draw("training", trainingFigures(data));
draw("time", timeFigures(data));
