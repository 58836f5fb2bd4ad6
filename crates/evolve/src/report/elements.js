"use strict";

// What the report and the page of `lancer serve` are made of: elements whose texts are texts, never markup, and numbers as people write them.

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
}

// A string among the children becomes a text node.
function el(name, attributes, ...children) {
  return build(document.createElement(name), attributes, children);
}

function svg(name, attributes, ...children) {
  return build(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

// A box placed along a track, in parts of its length.
function placed(className, from, to) {
  const box = el("span", { class: className });
  box.style.left = `${100 * from}%`;
  // What is there is seen, however small its part.
  if (to !== undefined) box.style.width = to > from ? `max(1px, ${100 * (to - from)}%)` : 0;
  return box;
}

function fixed(value, digits) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  // Zero has no sign, nor has what is shown as zero.
  const near = Math.abs(value) < 0.5 * 10 ** -digits ? 0 : value;
  const text = near.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return text.replace("-", "−");
}

function signed(value, digits) {
  return (value > 0 ? "+" : "") + fixed(value, digits);
}

function count(value) {
  return fixed(value, 0);
}

function duration(seconds) {
  if (seconds < 1) return `${fixed(seconds, 2)} s`;
  if (seconds < 10) return `${fixed(seconds, 1)} s`;
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  if (hours > 0) return `${hours} h ${two(minutes)} min`;
  return minutes > 0 ? `${minutes} min ${two(rest)} s` : `${rest} s`;
}

function plain(name) {
  return name.replaceAll("_", " ");
}

function model(number) {
  return el("span", { class: "m" }, "M", el("sub", {}, String(number)));
}

// A sentence in which models are called M_0, M_1 and so on.
function withModels(sentence) {
  return sentence.split(/(M_\d+)/).map((part) => (/^M_\d+$/.test(part) ? model(part.slice(2)) : part));
}

// A table whose cells are given by row. A column is its title, or its title and "number".
function table(columns, rows) {
  const heads = columns.map((column) => [column].flat());
  return el("div", { class: "scroll", tabindex: "0" },
    el("table", {},
      el("thead", {}, el("tr", {}, heads.map(([title, kind]) => el("th", { scope: "col", class: kind }, title)))),
      el("tbody", {}, rows.map((cells) =>
        el("tr", {}, cells.map((cell, column) => el("td", { class: heads[column][1] }, cell)))))));
}

function nothing(text) {
  return el("p", { class: "nothing" }, text);
}
