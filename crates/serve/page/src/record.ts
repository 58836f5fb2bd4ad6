// One record: where it comes from, what was said of it, and what was trained on it.

import { ORIGINS, el, fixed, firstWords, nothing, part, plain, quote, reviewDetail } from "figures";
import { type Lineage, type Pair, ask } from "./api";
import { sides } from "./difference";
import { type Leave, badge, failed, link } from "./parts";

export function recordView(host: HTMLElement, run: string, key: string): Leave {
  ask<Lineage>("record", { run, key }).then((found) => host.replaceChildren(...drawn(run, found)), failed);
  return () => {};
}

type GraphNode = { title: string; note?: string; href?: string; kind?: string };

// Columns from the seed to the training steps; what stands right comes from what stands left.
function graph(run: string, found: Lineage): HTMLElement {
  const { record } = found;
  const toRecord = (name: string) => link(["run", run, "record", name]);
  const columns: [string, GraphNode[]][] = [
    ["Seed", found.ancestors.slice(-1).map((one) => ({ title: one.key, note: firstWords(one.prompt, 50), href: toRecord(one.key) }))],
    ["Written from", found.ancestors.slice(0, -1).reverse().map((one) => ({ title: one.key, note: firstWords(one.prompt, 50), href: toRecord(one.key) }))],
    ["Samples", [found.prompt_sample, found.sample].flatMap((sample) => (sample ? [{ title: `its ${sample === found.prompt_sample ? "prompt" : "response"}`, note: `${sample.tokens} tokens, ${plain(sample.finish)}` }] : []))],
    ["This record", [{ title: record.key, note: `${ORIGINS[record.origin] ?? record.origin}${record.iteration ? `, iteration ${record.iteration}` : ""}`, kind: "here" }]],
    ["Judged", [
      ...found.reviews.map((review) => ({ title: review.score === null ? "no score" : `score ${fixed(review.score, 2)}`, note: `review of iteration ${review.iteration}` })),
      ...(found.verdict ? [{ title: found.verdict.rule === null ? "kept" : `dropped: ${plain(found.verdict.rule)}`, note: "cleaning" }] : []),
      ...found.judgements.map((one) => ({ title: `${one.action}${one.score === null ? "" : ` ${one.score}`}`, note: `${one.person}, ${one.at}` })),
    ]],
    ["Used", [
      ...found.sft.map((one) => ({ title: one.kind === "review" ? "teaches to review" : "teaches to respond", note: `iteration ${one.iteration}${one.judgement === null ? "" : ", as a person decided"}` })),
      ...(["chosen", "rejected"] as const).flatMap((side) => found[side].map((pair) => {
        const other = side === "chosen" ? pair.rejected_record : pair.record;
        return { title: `${side} side`, note: `iteration ${pair.iteration}, ${plain(pair.rejected_kind)}${pair.judgement === null ? "" : ", as a person decided"}`, href: other && other !== record.key ? toRecord(other) : undefined };
      })),
    ]],
    ["Trained on", found.steps.slice(0, 12).map((step) => ({
      title: `step ${step.step}`, note: `iteration ${step.iteration}, ${step.phase === "sft" ? "fine-tuning" : "preference"}, loss ${fixed(step.loss, 3)}`, href: link(["run", run, "step", step.iteration, step.phase, step.step]),
    }))],
    ["Written from it", found.descendants.slice(0, 12).map((one) => ({ title: one.key, note: firstWords(one.words, 50), href: toRecord(one.key) }))],
  ];
  const node = ({ title, note, href, kind }: GraphNode) => el("li", { class: `node ${kind ?? ""}`, "aria-current": kind ? "true" : null },
    href ? el("a", { href }, title) : el("b", {}, title), note && el("small", {}, note));
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Lineage" },
    el("ol", { class: "graph" }, columns.filter(([, nodes]) => nodes.length > 0).map(([title, nodes]) =>
      el("li", { class: "column-of-graph" }, el("h4", {}, title), el("ul", {}, nodes.map(node))))));
}

function drawn(run: string, found: Lineage): Node[] {
  const { record } = found;
  const fate = [
    badge(record.origin === "seed" ? "seed" : `${ORIGINS[record.origin] ?? record.origin}, iteration ${record.iteration}`),
    found.verdict && badge(found.verdict.rule === null ? "kept" : "dropped", found.verdict.rule === null ? "better" : "worse"),
    found.pool !== null && record.origin !== "seed" && badge(`joined the pool for iteration ${found.pool}`, "better"),
    found.sft.length > 0 && badge("fine-tuned on", "used"), found.chosen.length > 0 && badge("chosen", "used"), found.rejected.length > 0 && badge("rejected side", "used"),
    found.judgements.length > 0 && badge("judged by a person", "used"),
  ];
  const written = found.sample && found.sample.text.trim() !== record.response.trim() && el("details", {}, el("summary", {}, "as the model wrote it"), el("pre", {}, found.sample.text));
  const children: (Node | false | null)[] = [
    el("h1", {}, el("code", {}, record.key)),
    el("p", { class: "badges" }, fate),
    graph(run, found),
    quote("Prompt", record.prompt), quote("Response", record.response), written,
    part("Reviews", found.reviews.map((review) => el("div", { class: "review" },
      el("p", {}, `Iteration ${review.iteration}: `, el("b", {}, review.score === null ? `no score (${review.reason ?? "no reason given"})` : fixed(review.score, 2))), reviewDetail(review.detail)))),
    found.verdict?.rule ? part("Cleaning", [
      el("p", {}, "Dropped: ", el("b", {}, plain(found.verdict.rule)), found.verdict.detail && ` (${found.verdict.detail})`),
      found.resembles && el("p", {}, "It is too like ", el("a", { href: link(["run", run, "record", found.resembles.key]) }, found.resembles.key), "."),
      found.resembles && sides(["This response", "The one that it resembles"], record.response, found.resembles.response),
    ]) : null,
    part("People", found.judgements.map((one) => el("div", {}, el("p", {}, `${one.at}, ${one.person}: `, el("b", {}, one.action), one.score !== null && ` ${one.score}`), one.response && sides(["Before", "As the person wrote it"], record.response, one.response)))),
    part("Preference pairs, as the chosen side", found.chosen.map(pairOf)),
    part("Preference pairs, as the rejected side", found.rejected.map(pairOf)),
    part("Samples from it that could not be used", found.unusable.map((sample) => el("details", {}, el("summary", {}, `${ORIGINS[sample.writing] ?? plain(sample.writing)}: ${plain(sample.unusable ?? "")}`), el("pre", {}, sample.text)))),
  ];
  const shown = children.filter((child): child is Node => Boolean(child));
  return shown.length ? shown : [nothing("Nothing is known of it.")];
}

function pairOf(pair: Pair): HTMLElement {
  return el("details", {},
    el("summary", {}, `iteration ${pair.iteration}: rejected side ${plain(pair.rejected_kind)}, score ${fixed(pair.chosen_score, 2)} against ${pair.rejected_score === null ? "none" : fixed(pair.rejected_score, 2)}`),
    sides(["Chosen", "Rejected"], pair.chosen, pair.rejected));
}
