// Small parts that several views have.

import { el, fixed, signed } from "figures";
import type { Estimate } from "./api";

export type Leave = () => void;

// A message for everybody, also for those who do not see.
export function say(text: string, isError = false): void {
  const status = document.getElementById("status");
  if (!status) return;
  status.textContent = text;
  status.classList.toggle("error", isError);
}

export function failed(error: unknown): void {
  say(error instanceof Error ? error.message : String(error), true);
}

// Calls what may fail, and says what it failed with.
export function trying<Arguments extends unknown[]>(action: (...given: Arguments) => Promise<void>): (...given: Arguments) => void {
  return (...given) => {
    action(...given).catch(failed);
  };
}

export function link(parts: (string | number)[], parameters?: Record<string, string>): string {
  const query = parameters ? `?${new URLSearchParams(parameters)}` : "";
  return `#/${parts.map((part) => encodeURIComponent(String(part))).join("/")}${query}`;
}

export function ago(seconds: number | null): string {
  if (seconds === null) return "";
  const past = Math.max(0, Date.now() / 1000 - seconds);
  if (past < 100) return `${fixed(past, 0)} s ago`;
  if (past < 6000) return `${fixed(past / 60, 0)} min ago`;
  if (past < 172800) return `${fixed(past / 3600, 0)} h ago`;
  return `${fixed(past / 86400, 0)} days ago`;
}

export function gain(estimate: Estimate | null): string {
  return estimate ? `${signed(estimate.mean, 3)} [${signed(estimate.low, 3)}, ${signed(estimate.high, 3)}]` : "";
}

export function field(name: string, control: HTMLElement, note?: string): HTMLElement {
  return el("label", { class: "field" }, el("span", {}, name), control, note && el("small", {}, note));
}

export function choice(options: [string, string][], chosen: string, onchange: () => void): HTMLSelectElement {
  const select = el("select", { onchange }, options.map(([value, name]) => el("option", { value, selected: value === chosen }, name)));
  return select;
}

export function badge(text: string, kind = "plain"): HTMLElement {
  return el("span", { class: `badge ${kind}` }, text);
}

const states = new WeakMap<HTMLElement, string>();

// Replaces what is in a place where it is something else than before.
export function place(host: HTMLElement, state: unknown, children: () => Node | Node[]): void {
  const text = JSON.stringify(state);
  if (states.get(host) === text) return;
  states.set(host, text);
  host.replaceChildren(...[children()].flat());
}
