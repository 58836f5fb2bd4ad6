// Two texts side by side, with the words marked in which they differ.

import { el } from "figures";

// More words than this are not compared: the time grows with the product.
const MOST = 1500;

type Word = { text: string; isCommon: boolean };

// The longest common sequence of words, by dynamic programming.
export function compared(one: string, two: string): [Word[], Word[]] {
  const words = (text: string) => text.split(/(\s+)/).filter((word) => word !== "");
  const [left, right] = [words(one), words(two)];
  const all = (list: string[], isCommon: boolean) => list.map((text) => ({ text, isCommon }));
  if (left.length > MOST || right.length > MOST) return [all(left, true), all(right, true)];
  const width = right.length + 1;
  const longest = new Uint16Array((left.length + 1) * width);
  const at = (row: number, column: number) => longest[row * width + column] ?? 0;
  for (let row = left.length - 1; row >= 0; row -= 1) {
    for (let column = right.length - 1; column >= 0; column -= 1) {
      longest[row * width + column] = left[row] === right[column] ? at(row + 1, column + 1) + 1 : Math.max(at(row + 1, column), at(row, column + 1));
    }
  }
  const found: [Word[], Word[]] = [[], []];
  let [row, column] = [0, 0];
  while (row < left.length || column < right.length) {
    const [here, there] = [left[row], right[column]];
    if (here !== undefined && here === there) {
      found[0].push({ text: here, isCommon: true });
      found[1].push({ text: here, isCommon: true });
      row += 1;
      column += 1;
    } else if (here !== undefined && (there === undefined || at(row + 1, column) >= at(row, column + 1))) {
      found[0].push({ text: here, isCommon: false });
      row += 1;
    } else {
      found[1].push({ text: there ?? "", isCommon: false });
      column += 1;
    }
  }
  return found;
}

function marked(words: Word[], name: "ins" | "del"): HTMLElement {
  const pre = el("pre");
  let run: { text: string; isCommon: boolean } | null = null;
  const end = () => {
    if (run) pre.append(run.isCommon ? run.text : el(name, {}, run.text));
  };
  for (const word of words) {
    if (run && (run.isCommon === word.isCommon || word.text.trim() === "")) run.text += word.text;
    else {
      end();
      run = { ...word };
    }
  }
  end();
  return pre;
}

// Both sides; where nearly nothing is common, marks would only be in the way.
export function sides(titles: [string, string], one: string, two: string): HTMLElement {
  const [left, right] = compared(one, two);
  const words = (list: Word[]) => list.filter((word) => word.text.trim() !== "");
  const common = words(left).filter((word) => word.isCommon).length / Math.max(1, Math.min(words(left).length, words(right).length));
  const isNear = common > 0.35;
  const side = (title: string, list: Word[], text: string, name: "ins" | "del") =>
    el("div", { class: "quote" }, el("h4", {}, title), isNear ? marked(list, name) : el("pre", {}, text));
  return el("div", { class: "sides" }, side(titles[0], left, one, "ins"), side(titles[1], right, two, "del"));
}
