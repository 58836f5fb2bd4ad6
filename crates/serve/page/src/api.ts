// Questions to the server.

export type Estimate = { mean: number; low: number; high: number; items: number };
export type Overview = {
  name: string; status: "working" | "stopped" | "finished" | "unreadable"; iteration: number; planned: number;
  stage: string | null; stage_title: string | null; model: number; gain: Estimate | null; outcome: string; seconds: number;
  tokens_per_second: number | null; last_activity: number | null; problem: string | null; can_stop: boolean;
};
export type Stage = { stage: string; finished: boolean; seconds: number; tokens_per_second: number | null };
export type Step = { step: number; loss: number };
export type Curves = { iteration: number; phase: string; steps: Step[] };
export type Iteration = { iteration: number; unfinished: string | null; conclusion: string; advice: string; stages: Stage[] };
export type RunView = {
  summary: { seeds: number; before: Stage[]; planned: number; iterations: Iteration[]; baseline: { task: string; metric: string }[] };
  funnels: unknown[]; stages: Record<string, string>; training: Curves[];
};
export type Snapshot = { overview: Overview; run: RunView; can_stop: boolean; log: string[] };
export type RecordRow = {
  key: string; iteration: number; origin: string; score: number | null; rule: string | null; prompt: string; response: string;
  judgement: string | null;
};
export type RecordPage = { rows: RecordRow[]; next: string | null };
export type Written = { key: string; iteration: number; origin: string; source: string | null; seed: string; prompt: string; response: string };
export type Sample = { key: string; iteration: number; writing: string; text: string; unusable: string | null; tokens: number; finish: string };
export type Pair = {
  iteration: number; key: string; record: string; rejected_record: string | null; rejected_kind: string; chosen_score: number | null;
  rejected_score: number | null; prompt: string; chosen: string; rejected: string; judgement: number | null;
};
export type Judgement = { number: number; action: string; score: number | null; response: string | null; person: string; at: string };
export type Lineage = {
  record: Written; ancestors: Written[]; sample: Sample | null; prompt_sample: Sample | null;
  reviews: { iteration: number; score: number | null; reason: string | null; detail: string }[];
  verdict: { rule: string | null; detail: string | null } | null; resembles: Written | null; judgements: Judgement[]; pool: number | null;
  sft: { iteration: number; key: string; kind: string; judgement: number | null }[]; chosen: Pair[]; rejected: Pair[];
  steps: { iteration: number; phase: string; step: number; key: string; loss: number; margin: number | null }[];
  descendants: { key: string; iteration: number; origin: string; words: string }[]; unusable: Sample[];
};
export type Batch = {
  step: Step & { learning_rate: number; gradient_norm: number; examples: number; tokens: number };
  examples: { key: string; record: string; loss: number; margin: number | null; prompt: string; response: string; rejected: string | null }[];
};
export type JudgeItem = {
  subject: "record" | "pair"; iteration: number; key: string; prompt: string; response: string; rejected: string | null;
  score: number | null; rejected_score: number | null; rejected_kind: string | null;
};
export type Queue = { items: JudgeItem[]; left: number; judged: number };
export type Agreement = {
  records: number; agreed: number | null; kappa: number | null; area: { area: number; low: number; high: number } | null;
  pairs: number; pairs_agreed: number | null;
};
export type Comparison = {
  settings: { name: string; values: (string | null)[] }[];
  differences: {
    first_model: number; model: number; gain: Estimate | null; notes: string[];
    tasks: { task: string; comparison: { metric: string; before: Estimate; after: Estimate; difference: Estimate; verdict: string } }[];
  }[];
};
export type About = { version: string; folder: string; person: string };

async function answer<T>(response: Response): Promise<T> {
  const text = await response.text();
  let found: unknown = null;
  try {
    found = text ? JSON.parse(text) : null;
  } catch {
    throw new Error(text || response.statusText);
  }
  if (!response.ok) throw new Error((found as { error?: string } | null)?.error ?? response.statusText);
  return found as T;
}

export async function ask<T>(path: string, parameters: Record<string, string | number | null | undefined> = {}): Promise<T> {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") query.set(name, String(value));
  }
  return answer<T>(await fetch(`/api/${path}?${query}`));
}

export async function tell<T>(path: string, body: unknown): Promise<T> {
  const headers = { "content-type": "application/json" };
  return answer<T>(await fetch(`/api/${path}`, { method: "POST", headers, body: JSON.stringify(body) }));
}
