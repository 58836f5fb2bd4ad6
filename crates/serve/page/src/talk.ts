// The models of a run side by side: the same prompt, the same seed.

import { el, model, nothing } from "figures";
import { type Overview, ask, tell } from "./api";
import { type Leave, failed, field, say } from "./parts";

type Turn = { role: string; content: string };

export function talkView(host: HTMLElement, run: string): Leave {
  const system = el("input", { type: "text", placeholder: "none" });
  const seed = el("input", { type: "number", min: "0", value: "1" });
  const temperature = el("input", { type: "number", min: "0", max: "5", step: "0.1", value: "0.7" });
  const tokens = el("input", { type: "number", min: "1", max: "4096", value: "256" });
  const text = el("textarea", { rows: "3", "aria-label": "What you say" });
  const send = el("button", { type: "submit", class: "main" }, "Send (Ctrl+Enter)");
  const columns = el("div", { class: "sides talk" });
  const form = el("form", { class: "say" }, text, el("div", { class: "buttons" }, send, el("button", { type: "button", onclick: anew }, "Begin anew")));
  host.append(el("h1", {}, "Talk"), el("p", { class: "about" }, "Both models are told the same and draw with the same seed; each goes on from its own answers."),
    el("form", { class: "filters judge-settings", onsubmit: (event: Event) => event.preventDefault() },
      field("What they are told before", system), field("Seed", seed), field("Temperature", temperature), field("Longest answer, tokens", tokens)), columns, form);
  let sides: { number: number; turns: Turn[]; log: HTMLElement }[] = [];
  let said = 0;

  function anew(): void {
    said = 0;
    for (const side of sides) {
      side.turns = [];
      side.log.replaceChildren();
    }
    text.focus();
  }
  const answer = async (side: (typeof sides)[number], turns: Turn[], number: number) => {
    const waiting = el("p", { class: "muted" }, "…");
    side.log.append(waiting);
    try {
      const told = system.value.trim() ? [{ role: "system", content: system.value }] : [];
      const { response } = await tell<{ response: string }>("talk", {
        run, model: side.number, turns: [...told, ...turns], seed: Number(seed.value) + number, temperature: Number(temperature.value), max_tokens: Number(tokens.value),
      });
      side.turns = [...turns, { role: "assistant", content: response }];
      waiting.replaceWith(el("pre", { class: "answer" }, response));
    } catch (error) {
      waiting.replaceWith(el("p", { class: "worse" }, error instanceof Error ? error.message : String(error)));
    }
  };
  const submit = async () => {
    const content = text.value.trim();
    if (content === "" || send.disabled) return;
    send.disabled = true;
    text.value = "";
    const number = said;
    said += 1;
    await Promise.all(sides.map((side) => {
      side.log.append(el("p", { class: "you" }, content));
      return answer(side, [...side.turns, { role: "user", content }], number);
    }));
    send.disabled = false;
    say("The answers are there.");
    text.focus();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit().catch(failed);
  });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      submit().catch(failed);
    }
  });
  const start = async () => {
    const overview = (await ask<Overview[]>("runs")).find((one) => one.name === run);
    const newest = overview?.model ?? 0;
    sides = [...new Set([0, newest])].map((number) => ({ number, turns: [], log: el("div", { class: "log-of-talk", "aria-live": "polite" }) }));
    columns.append(...sides.map((side) => el("div", {}, el("h3", {}, model(side.number), side.number === 0 ? " before the run" : " after it"), side.log)));
    if (newest === 0) columns.append(nothing("The run has made no model yet."));
  };
  start().catch(failed);
  return () => {};
}
