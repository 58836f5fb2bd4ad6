// Texts of records, and what a review's score was made of.

const ORIGINS = { seed: "seed", new_prompt: "new prompt", response: "response", worse_response: "worse response" };

function firstWords(text, length) {
  const line = text.trim().replace(/\s+/g, " ");
  return line.length > length ? `${line.slice(0, length)}…` : line || "(empty)";
}

function quote(title, text, note) {
  return el("div", { class: "quote" }, el("h4", {}, title, note && el("small", {}, " ", note)), el("pre", {}, text));
}

function part(title, children) {
  return children.length > 0 && el("section", { class: "part" }, el("h4", {}, title), children);
}

function reviewDetail(text) {
  let detail;
  try {
    detail = JSON.parse(text);
  } catch {
    return el("pre", {}, text);
  }
  const leftOut = detail?.left_out ?? [];
  return [leftOut.map((sentence) => quote("not shown to the reviewer", sentence)), scoredBy(detail)];
}

function scoredBy(detail) {
  if (detail?.likelihoods) {
    return el("dl", { class: "pairs" }, Object.entries(detail.likelihoods).map(([name, value]) =>
      el("div", {}, el("dt", {}, plain(name)), el("dd", {}, typeof value === "number" ? fixed(value, 3) : JSON.stringify(value)))));
  }
  if (Array.isArray(detail?.samples)) {
    return detail.samples.map((sample) => quote(sample.score === null ? "not readable" : `score ${sample.score}`, sample.text));
  }
  if (Array.isArray(detail?.probabilities)) {
    return el("dl", { class: "pairs" }, detail.probabilities.map((value, score) =>
      el("div", {}, el("dt", {}, String(score)), el("dd", {}, fixed(value, 3)))));
  }
  return detail === "none" || detail?.none === null || detail === null ? null : el("pre", {}, JSON.stringify(detail, null, 2));
}
