// Finding records: filters, the list, and the record that the page's address names.

const PAGE_OF_ITEMS = 100;

const items = [
  ...data.records.map((record) => ({
    key: record.key, origin: record.origin, iteration: record.iteration, title: title(record),
    text: `${record.key}\n${record.prompt}\n${record.response}`.toLowerCase(),
  })),
  ...data.samples.filter((sample) => sample.unusable).map((sample) => ({
    key: sample.key, origin: sample.writing, iteration: sample.iteration, title: sample.text, unusable: sample.unusable,
    text: `${sample.key}\n${sample.text}\n${sample.unusable}`.toLowerCase(),
  })),
].map((item) => ({ ...item, score: item.unusable ? null : latestScore(item.key) }));

const FATES = {
  "any fate": () => true,
  kept: (item) => verdictOf.get(item.key)?.rule === null,
  dropped: (item) => Boolean(verdictOf.get(item.key)?.rule),
  unusable: (item) => Boolean(item.unusable),
  "no score": (item) => reviewsOf.has(item.key) && item.score === null,
  "joined the pool": (item) => item.origin !== "seed" && poolSince.has(item.key),
  "used for training": (item) => sftOf.has(item.key) || chosenIn.has(item.key) || rejectedIn.has(item.key),
  "fine-tuned on": (item) => sftOf.has(item.key),
  "chosen side of a pair": (item) => chosenIn.has(item.key),
  "rejected side of a pair": (item) => rejectedIn.has(item.key),
  "not used for training": (item) => !sftOf.has(item.key) && !chosenIn.has(item.key) && !rejectedIn.has(item.key),
};

const filters = drawFilters();
let matching = [];
let shownItems = 0;

function drawFilters() {
  const select = (options) => el("select", { onchange: filter }, options.map(([value, name]) => el("option", { value }, name)));
  const number = (value) => el("input", { type: "number", min: 0, max: 10, step: 0.5, placeholder: value, inputmode: "decimal", oninput: filter });
  const origins = [...new Set(items.map((item) => item.origin))];
  const found = [...new Set(items.map((item) => item.iteration))].sort((one, two) => one - two);
  const controls = {
    text: el("input", { type: "search", placeholder: "any words", oninput: filter }),
    origin: select([["", "any origin"], ...origins.map((origin) => [origin, ORIGINS[origin] ?? plain(origin)])]),
    iteration: select([["", "any iteration"], ...found.map((number) => [number, number === 0 ? "seeds" : `iteration ${number}`])]),
    fate: select(Object.keys(FATES).map((name) => [name, name])),
    least: number("0"),
    most: number("10"),
  };
  const label = (name, ...control) => el("label", {}, el("span", {}, name), control);
  const form = document.getElementById("filters");
  form.append(
    label("Text", controls.text), label("Origin", controls.origin), label("Iteration", controls.iteration),
    label("Fate", controls.fate), label("Score from", controls.least), label("to", controls.most));
  form.addEventListener("submit", (event) => event.preventDefault());
  return controls;
}

function filter() {
  const words = filters.text.value.toLowerCase().split(/\s+/).filter(Boolean);
  const bound = (input) => (input.value === "" ? null : Number(input.value));
  const [least, most] = [bound(filters.least), bound(filters.most)];
  const fits = FATES[filters.fate.value];
  matching = items.filter((item) =>
    (filters.origin.value === "" || item.origin === filters.origin.value)
    && (filters.iteration.value === "" || item.iteration === Number(filters.iteration.value))
    && fits(item)
    && (least === null || (item.score !== null && item.score >= least))
    && (most === null || (item.score !== null && item.score <= most))
    && words.every((word) => item.text.includes(word)));
  shownItems = 0;
  document.getElementById("items").replaceChildren();
  document.getElementById("matches").textContent = `${count(matching.length)} of ${count(items.length)}`;
  showMore();
}

function showMore() {
  const next = matching.slice(shownItems, shownItems + PAGE_OF_ITEMS);
  shownItems += next.length;
  document.getElementById("items").append(...next.map(listItem));
  document.getElementById("more").hidden = shownItems >= matching.length;
  markCurrent();
}

function listItem(item) {
  const dropped = item.unusable || verdictOf.get(item.key)?.rule;
  return el("li", {}, el("a", { href: `#record=${encodeURIComponent(item.key)}`, "data-key": item.key, class: dropped ? "dropped" : null },
    el("span", { class: "score" }, item.score === null ? "–" : fixed(item.score, 1)),
    el("span", { class: "words" }, firstWords(item.title, 90)),
    el("small", {}, item.unusable ? `unusable: ${plain(item.unusable)}` : ORIGINS[item.origin] ?? plain(item.origin), dropped && !item.unusable ? `, ${plain(dropped)}` : "")));
}

function keyInAddress() {
  const found = /^#record=(.*)$/.exec(location.hash);
  if (!found) return null;
  try {
    return decodeURIComponent(found[1]);
  } catch {
    return null;
  }
}

let current = null;

function show(key) {
  const known = recordsByKey.has(key) || samplesByKey.get(key)?.unusable;
  if (!known) return;
  current = key;
  document.getElementById("history").replaceChildren(...history(key).flat(Infinity).filter(Boolean));
  markCurrent();
}

function markCurrent() {
  for (const link of document.querySelectorAll("#items a")) {
    if (link.dataset.key === current) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

function followAddress() {
  const key = keyInAddress();
  if (key === null) return;
  show(key);
  document.getElementById("history").scrollIntoView({ block: "nearest" });
}

document.getElementById("more").addEventListener("click", showMore);
window.addEventListener("hashchange", followAddress);
filter();
if (items.length > 0) show(items[0].key);
else document.getElementById("history").append(nothing("The run has no record yet."));
followAddress();
