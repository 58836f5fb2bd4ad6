// A queue for a person, by keyboard alone.

import { el, fixed, nothing, plain, quote } from "figures";
import { type Agreement, type JudgeItem, type Overview, type Queue, ask, tell } from "./api";
import { sides } from "./difference";
import { type Leave, choice, failed, field, link, say } from "./parts";

type Decision = { action: string; score?: number; response?: string };

const KEYS_OF_PAIRS = "← the left is better · → the right is better · x neither · e edit · s skip · u undo";
const KEYS_OF_RECORDS = "a accept · r reject · 1 to 9, 0 for 10: score · e edit · s skip · u undo";

export function judgeView(host: HTMLElement, run: string, given: URLSearchParams, someone: string): Leave {
  const subject = given.get("subject") === "record" ? "record" : "pair";
  const isBlind = given.get("blind") !== "no";
  const card = el("div", { class: "card", tabindex: "-1" });
  const left = el("p", { class: "muted", role: "status" });
  const agreement = el("div");
  const go = (changed: Record<string, string>) => {
    location.hash = link(["run", run, "judge"], { subject, blind: isBlind ? "yes" : "no", ...(given.get("iteration") ? { iteration: given.get("iteration") ?? "" } : {}), ...changed });
  };
  const person = el("input", { type: "text", value: someone, autocomplete: "name" });
  const what = choice([["pair", "preference pairs"], ["record", "records"]], subject, () => go({ subject: what.value }));
  const blind = el("input", { type: "checkbox", checked: isBlind, onchange: () => go({ blind: blind.checked ? "yes" : "no" }) });
  const iterations = el("select", { onchange: () => go({ iteration: iterations.value }) });
  host.append(el("h1", {}, "Judge"),
    el("p", { class: "about" }, "What you decide is written into the ledger as yours. It overrides the model's reviews when the next iteration makes its training examples."),
    el("form", { class: "filters judge-settings", onsubmit: (event: Event) => event.preventDefault() },
      field("What", what), field("Iteration", iterations), field("Your name", person), el("label", { class: "field check" }, blind, el("span", {}, "Blind: sides shuffled, scores hidden"))),
    left, card, el("p", { class: "keys muted" }, subject === "pair" ? KEYS_OF_PAIRS : KEYS_OF_RECORDS), agreement);

  let iteration = Number(given.get("iteration") ?? 0);
  let items: JudgeItem[] = [];
  let skipped = new Set<string>();
  const done: JudgeItem[] = [];
  let isBusy = false;
  let editing: HTMLTextAreaElement | null = null;

  const current = () => items[0];
  // The same for everybody who looks, and not what the reviewer thinks.
  const isShuffled = (item: JudgeItem) => isBlind && [...item.key].reduce((sum, letter) => (sum * 31 + (letter.codePointAt(0) ?? 0)) % 1000003, 7) % 2 === 1;

  const fill = async () => {
    const queue = await ask<Queue>("queue", { run, subject, iteration });
    items = queue.items.filter((item) => !skipped.has(item.key));
    if (items.length === 0 && skipped.size > 0 && queue.items.length > 0) {
      skipped = new Set();
      items = queue.items;
    }
    left.textContent = `${queue.left} left, ${queue.judged} judged`;
    draw();
    drawAgreement(agreement, await ask<Agreement>("agreement", { run }));
  };
  const decide = async (decision: Decision) => {
    const item = current();
    if (!item || isBusy) return;
    if (person.value.trim() === "") {
      say("Your name is needed: judgements say whose they are.", true);
      person.focus();
      return;
    }
    isBusy = true;
    try {
      await tell("judge", { run, judgement: { subject: item.subject, iteration: item.iteration, key: item.key, person: person.value.trim(), ...decision } });
      if (decision.action === "withdraw") items.unshift(item);
      else done.push(item);
      say(`${decision.action}${decision.score === undefined ? "" : ` ${decision.score}`}: ${item.key}`);
      items.shift();
      editing = null;
      if (items.length < 3) await fill();
      else draw();
    } finally {
      isBusy = false;
    }
    card.focus({ preventScroll: true });
  };
  const undo = async () => {
    const item = done.pop();
    if (!item || isBusy) return;
    await tell("judge", { run, judgement: { subject: item.subject, iteration: item.iteration, key: item.key, person: person.value.trim() || someone, action: "withdraw" } });
    items.unshift(item);
    say(`taken back: ${item.key}`);
    draw();
  };
  const skip = () => {
    const item = items.shift();
    if (!item) return;
    skipped.add(item.key);
    editing = null;
    if (items.length === 0) fill().catch(failed);
    else draw();
  };
  const prefer = (isLeft: boolean) => {
    const item = current();
    if (item) decide({ action: isLeft === isShuffled(item) ? "flip" : "accept" }).catch(failed);
  };
  const edit = () => {
    const item = current();
    if (!item) return;
    // Blind, it begins with the left side, whichever that is.
    const begin = item.rejected !== null && isShuffled(item) ? item.rejected : item.response;
    editing = el("textarea", { rows: "10", "aria-label": item.rejected === null ? "The response as it should be" : "The better response as it should be" }, begin);
    draw();
    editing.focus();
  };
  const save = () => {
    if (editing) decide({ action: "edit", response: editing.value }).catch(failed);
  };
  const button = (text: string, action: () => void, isMain = false) => el("button", { type: "button", class: isMain ? "main" : "", onclick: action }, text);

  function draw(): void {
    const item = current();
    if (!item) {
      card.replaceChildren(nothing(subject === "pair" ? "No pair of this iteration is left to judge." : "No record of this iteration is left to judge."));
      return;
    }
    const note = (score: number | null) => (isBlind ? "" : ` · score ${fixed(score, 2)}`);
    let body: Node[];
    if (editing) {
      body = [quote("Prompt", item.prompt), editing, el("div", { class: "buttons" }, button("Save (Ctrl+Enter)", save, true), button("Cancel (Esc)", () => {
        editing = null;
        draw();
      }))];
    } else if (item.rejected === null) {
      body = [quote("Prompt", item.prompt), quote("Response", item.response, note(item.score)), el("div", { class: "buttons" },
        button("Accept (a)", () => void decide({ action: "accept" }).catch(failed), true), button("Reject (r)", () => void decide({ action: "reject" }).catch(failed)), button("Edit (e)", edit), button("Skip (s)", skip))];
    } else {
      const turned = isShuffled(item);
      const [one, two] = turned ? [item.rejected, item.response] : [item.response, item.rejected];
      const titles: [string, string] = isBlind ? ["Left", "Right"] : [`Chosen${note(item.score)}`, `Rejected, ${plain(item.rejected_kind ?? "")}${note(item.rejected_score)}`];
      body = [quote("Prompt", item.prompt), sides(titles, one, two), el("div", { class: "buttons" },
        button("← Left is better", () => prefer(true), true), button("Right is better →", () => prefer(false), true),
        button("Neither (x)", () => void decide({ action: "reject" }).catch(failed)), button("Write a better one (e)", edit), button("Skip (s)", skip))];
    }
    const undoing = done.length > 0 && !editing ? [button("Undo (u)", () => void undo().catch(failed))] : [];
    card.replaceChildren(el("h2", { class: "unseen" }, `${item.subject} ${item.key}`), ...body, ...undoing);
  }

  const onkey = (event: KeyboardEvent) => {
    const target = event.target as HTMLElement;
    if (editing && event.key === "Escape") {
      editing = null;
      draw();
      card.focus();
      return;
    }
    if (editing && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      save();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName)) return;
    const all: Record<string, () => void> = { e: edit, s: skip, u: () => void undo().catch(failed) };
    const pairs: Record<string, () => void> = {
      ArrowLeft: () => prefer(true), ArrowRight: () => prefer(false), x: () => void decide({ action: "reject" }).catch(failed),
      a: () => void decide({ action: "accept" }).catch(failed), f: () => void decide({ action: "flip" }).catch(failed),
    };
    // Which side is the chosen one is not to be known.
    if (isBlind) for (const name of ["a", "f"]) delete pairs[name];
    const records: Record<string, () => void> = { a: () => void decide({ action: "accept" }).catch(failed), r: () => void decide({ action: "reject" }).catch(failed) };
    for (let score = 1; score <= 10; score += 1) records[String(score % 10)] = () => void decide({ action: "score", score }).catch(failed);
    const action = { ...all, ...(subject === "pair" ? pairs : records) }[event.key];
    if (action) {
      event.preventDefault();
      action();
    }
  };
  document.addEventListener("keydown", onkey);
  const start = async () => {
    const overview = (await ask<Overview[]>("runs")).find((one) => one.name === run);
    const known = Array.from({ length: overview?.iteration ?? 0 }, (_, place) => place + 1);
    const all = subject === "record" ? [0, ...known] : known;
    if (!given.get("iteration")) {
      // The newest in which there is something.
      iteration = all.at(-1) ?? 1;
      for (const one of [...all].reverse()) {
        const queue = await ask<Queue>("queue", { run, subject, iteration: one });
        if (queue.left > 0) {
          iteration = one;
          break;
        }
      }
    }
    iterations.append(...all.map((one) => el("option", { value: String(one), selected: one === iteration }, one === 0 ? "seeds" : `iteration ${one}`)));
    await fill();
    card.focus({ preventScroll: true });
  };
  start().catch(failed);
  return () => document.removeEventListener("keydown", onkey);
}

function drawAgreement(host: HTMLElement, found: Agreement): void {
  const share = (value: number | null) => (value === null ? "–" : `${fixed(100 * value, 0)} %`);
  const figure = (title: string, value: string, note: string) => el("div", {}, el("dt", {}, title), el("dd", {}, value, el("small", {}, note)));
  const { area } = found;
  host.replaceChildren(el("h2", {}, "The reviewer and you"),
    el("dl", { class: "figures" },
      figure("Records on which both agree", share(found.agreed), `of ${found.records} judged`),
      figure("Cohen's kappa", fixed(found.kappa, 2), "1 is perfect, 0 is chance"),
      figure("Area under the ROC curve", area ? fixed(area.area, 2) : "–", area ? `95 % interval ${fixed(area.low, 2)} to ${fixed(area.high, 2)}` : "needs good and bad records"),
      figure("Pairs that were not flipped", share(found.pairs_agreed), `of ${found.pairs} judged`)));
}
