// One record with all that the run knows of it.

function groupBy(rows, key) {
  const groups = new Map();
  for (const row of rows) {
    for (const name of [key(row)].flat()) {
      if (name === null || name === undefined) continue;
      if (!groups.has(name)) groups.set(name, []);
      groups.get(name).push(row);
    }
  }
  return groups;
}

const recordsByKey = new Map(data.records.map((record) => [record.key, record]));
const samplesByKey = new Map(data.samples.map((sample) => [sample.key, sample]));
const reviewsOf = groupBy(data.reviews, (review) => review.record);
const verdictOf = new Map(data.verdicts.map((verdict) => [verdict.record, verdict]));
const sftOf = groupBy(data.sft, (example) => example.record);
const chosenIn = groupBy(data.pairs, (pair) => pair.record);
const rejectedIn = groupBy(data.pairs, (pair) => pair.rejected_record);
const poolSince = new Map(Object.entries(data.pool));
const resembledBy = groupBy(data.verdicts, (verdict) => verdict.resembles);
const recordsFrom = groupBy(data.records, (record) => record.source);
const samplesFrom = groupBy(data.samples, (sample) => sample.parent);

function latestScore(key) {
  return reviewsOf.get(key)?.at(-1)?.score ?? null;
}

// What tells a record from its siblings: responses to one prompt differ in the response.
function title(record) {
  return record.origin === "worse_response" ? record.response : record.prompt;
}

function linkTo(key) {
  const record = recordsByKey.get(key);
  const sample = samplesByKey.get(key);
  if (!record && !sample?.unusable) return el("code", {}, key);
  const words = firstWords(record ? title(record) : sample.text, 60);
  return el("a", { href: `#record=${encodeURIComponent(key)}` }, el("code", {}, key), " ", el("span", { class: "muted" }, words));
}

// Everything about a record or an unusable sample, as elements.
function history(key) {
  const record = recordsByKey.get(key);
  const sample = samplesByKey.get(record ? record.sample : key);
  return record ? recordHistory(record, sample) : sampleHistory(sample);
}

function recordHistory(record, sample) {
  const pool = poolSince.get(record.key);
  return [
    el("h3", {}, el("code", {}, record.key)),
    el("p", { class: "badges" }, fate(record.key).map(([name, className]) => el("span", { class: `badge ${className}` }, name))),
    quote("Prompt", record.prompt),
    quote("Response", record.response),
    part("Comes from", origin(record, sample)),
    part("Reviews", (reviewsOf.get(record.key) ?? []).map(review)),
    part("Cleaning", cleaning(record)),
    part("Fine-tuning", (sftOf.get(record.key) ?? []).map(sftExample)),
    part("Preference pairs, as the chosen side", (chosenIn.get(record.key) ?? []).map((pair) => pairOf(pair, record.key))),
    part("Preference pairs, as the rejected side", (rejectedIn.get(record.key) ?? []).map((pair) => pairOf(pair, record.key))),
    part("Pool", pool && record.origin !== "seed" ? [el("p", {}, `Joined the pool of seeds for iteration ${pool}.`)] : []),
    part("What was written from it", descendants(record.key)),
    part("Dropped for being too like it", (resembledBy.get(record.key) ?? []).map((verdict) => el("p", {}, linkTo(verdict.record), ` ${plain(verdict.rule ?? "")}`))),
  ];
}

function sampleHistory(sample) {
  return [
    el("h3", {}, el("code", {}, sample.key)),
    el("p", { class: "badges" }, fate(sample.key).map(([name, className]) => el("span", { class: `badge ${className}` }, name))),
    quote("Written", sample.text, `${ORIGINS[sample.writing] ?? plain(sample.writing)} · ${writing(sample)}`),
    part("Not used because", [el("p", {}, plain(sample.unusable))]),
    part("Comes from", lineage(sample)),
  ];
}

function writing(sample) {
  return `iteration ${sample.iteration}, number ${sample.number}, ${count(sample.tokens)} tokens, ended by ${plain(sample.finish)}`;
}

function origin(record, sample) {
  if (record.origin === "seed") return [el("p", {}, "The user’s seeds.")];
  const raw = sample && sample.text.trim() !== record.response.trim() && el("details", {}, el("summary", {}, "as the model wrote it"), el("pre", {}, sample.text));
  return [
    el("p", {}, `Written as ${ORIGINS[record.origin]}`, sample && `: ${writing(sample)}`, "."),
    raw,
    sample ? lineage(sample) : el("p", {}, "from ", linkTo(record.source ?? record.seed)),
    record.seed !== record.source && el("p", {}, "seed: ", linkTo(record.seed)),
  ];
}

// A sample's parents up to the record that they were written from.
function lineage(sample) {
  const parent = samplesByKey.get(sample.parent);
  if (!recordsByKey.has(sample.parent) && parent) {
    return [el("p", {}, "its prompt: ", el("code", {}, parent.key), el("span", { class: "muted" }, ` ${writing(parent)}`)), lineage(parent)];
  }
  return [el("p", {}, "from ", linkTo(sample.parent))];
}

function review(review) {
  return el("div", { class: "review" },
    el("p", {}, `Iteration ${review.iteration}: `, review.score === null ? el("b", {}, `no score (${review.reason ?? "no reason given"})`) : el("b", {}, fixed(review.score, 2))),
    reviewDetail(review.detail));
}

function cleaning(record) {
  const verdict = verdictOf.get(record.key);
  if (!verdict) return [];
  if (verdict.rule === null) return [el("p", {}, "Kept.")];
  const other = recordsByKey.get(verdict.resembles);
  return [
    el("p", {}, "Dropped: ", el("b", {}, plain(verdict.rule)), verdict.detail && ` (${verdict.detail})`),
    verdict.resembles && el("p", {}, "It resembles ", linkTo(verdict.resembles)),
    other && el("details", {}, el("summary", {}, "what it resembles"), quote("Prompt", other.prompt), quote("Response", other.response)),
  ];
}

function sftExample(example) {
  return el("details", {},
    el("summary", {}, `iteration ${example.iteration}: teaches ${example.kind === "review" ? "to review" : "to respond"}`,
      example.score !== null && `, score ${fixed(example.score, 2)}`),
    quote("Prompt", example.prompt), quote("Response", example.response));
}

function pairOf(pair, key) {
  const other = pair.record === key ? pair.rejected_record : pair.record;
  return el("details", {},
    el("summary", {}, `iteration ${pair.iteration}: rejected side ${plain(pair.rejected_kind)}, `,
      `score ${fixed(pair.chosen_score, 2)} against ${pair.rejected_score === null ? "none" : fixed(pair.rejected_score, 2)}`),
    other && other !== key && el("p", {}, "The other side is ", linkTo(other)),
    el("div", { class: "sides" }, quote("Chosen", pair.chosen), quote("Rejected", pair.rejected)));
}

function descendants(key) {
  const written = (recordsFrom.get(key) ?? []).map((record) => record.key);
  const prompts = samplesFrom.get(key) ?? [];
  const unusable = [...prompts, ...prompts.flatMap((prompt) => samplesFrom.get(prompt.key) ?? [])]
    .filter((sample) => sample.unusable).map((sample) => sample.key);
  return [...written, ...unusable].map((child) =>
    el("p", { class: "child" }, linkTo(child), el("small", {}, fate(child).map(([name]) => name).join(", "))));
}

// What became of a record or sample: names with their colours.
function fate(key) {
  const record = recordsByKey.get(key);
  if (!record) return [[ORIGINS[samplesByKey.get(key)?.writing] ?? "sample", "plain"], ["unusable", "worse"]];
  const verdict = verdictOf.get(key);
  const score = latestScore(key);
  return [
    [record.origin === "seed" ? "seed" : `${ORIGINS[record.origin]}, iteration ${record.iteration}`, "plain"],
    verdict && (verdict.rule === null ? ["kept", "better"] : ["dropped", "worse"]),
    score !== null && [`score ${fixed(score, 2)}`, "plain"],
    record.origin !== "seed" && poolSince.has(key) && ["joined the pool", "better"],
    sftOf.has(key) && ["fine-tuned on", "used"],
    chosenIn.has(key) && ["chosen", "used"],
    rejectedIn.has(key) && ["rejected side", "used"],
  ].filter(Boolean);
}
