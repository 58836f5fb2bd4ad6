// The report's scripts, as build.mjs makes a module of them.

declare module "figures" {
  type Child = Node | string | number | null | undefined | false | Child[];
  type Attributes = Record<string, unknown>;
  type Series = { name: string; points: [number, number][]; kind: string; colour: string };
  type On = { bin?: (iteration: number, origin: string, bin: number) => void; step?: (iteration: number, phase: string, step: number) => void };

  export function build<T extends Element>(node: T, attributes: Attributes, children: Child[]): T;
  export function el<K extends keyof HTMLElementTagNameMap>(name: K, attributes?: Attributes, ...children: Child[]): HTMLElementTagNameMap[K];
  export function svg(name: string, attributes?: Attributes, ...children: Child[]): SVGElement;
  export function fixed(value: number | null | undefined, digits: number): string;
  export function signed(value: number, digits: number): string;
  export function count(value: number): string;
  export function duration(seconds: number): string;
  export function plain(name: string): string;
  export function model(number: number | string): HTMLElement;
  export function withModels(sentence: string): Child[];
  export function table(columns: (string | [string, string])[], rows: Child[][]): HTMLElement;
  export function nothing(text: string): HTMLElement;
  export function lineChart(title: string, series: Series[], range?: [number, number], onStep?: (step: number) => void): HTMLElement;
  export function taskTable(baseline: unknown, compared: unknown[]): HTMLElement;
  export function evaluationFigures(run: unknown): Child[];
  export function funnelFigures(run: unknown): Child[];
  export function reviewFigures(run: unknown, on?: On): Child[];
  export function trainingFigures(run: unknown, on?: On): Child[];
  export function timeFigures(run: unknown): Child[];
  export function quote(title: string, text: string, note?: Child): HTMLElement;
  export function part(title: string, children: Child[]): HTMLElement | false;
  export function reviewDetail(text: string): Child;
  export function firstWords(text: string, length: number): string;
  export const ORIGINS: Record<string, string>;
}
