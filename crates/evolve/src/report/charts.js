// Charts: lines over steps, a histogram of scores, points with intervals.

function ticks(low, high, about) {
  const raw = (high - low) / about || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= raw * 0.999);
  const found = [];
  for (let tick = Math.ceil(low / step - 1e-9); tick * step <= high + step * 1e-6; tick += 1) found.push(tick * step);
  const digits = Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9) + (step / power === 2.5 ? 1 : 0)));
  return { found, digits };
}

function movingAverage(points, width) {
  return points.map(([x], place) => {
    const near = points.slice(Math.max(0, place - width), place + width + 1);
    return [x, near.reduce((sum, [, y]) => sum + y, 0) / near.length];
  });
}

// Lines over steps. `series`: [{ name, points: [[step, value]], kind: "steps" | "held-out", colour: "one" | "two" }]. A click calls
// `onStep` with the nearest step.
function lineChart(title, series, fixedRange, onStep) {
  const shown = series.filter((one) => one.points.length > 0);
  const host = el("div", { class: "plot" });
  const readout = el("p", { class: "readout muted" }, "\u00a0");
  const figure = el("figure", { class: "chart" },
    el("figcaption", {}, el("strong", {}, title),
      el("span", { class: "legend" }, shown.length > 1 && shown.map((one) =>
        el("span", { class: `key ${one.kind} ${one.colour}` }, one.name)))),
    host, readout);
  const draw = () => drawLines(host, readout, title, shown, fixedRange, onStep);
  new ResizeObserver(draw).observe(host);
  return figure;
}

function drawLines(host, readout, title, series, fixedRange, onStep) {
  const width = Math.max(240, host.clientWidth || 480);
  const height = 210;
  const all = series.flatMap((one) => one.points);
  const [first, last] = [Math.min(...all.map(([x]) => x)), Math.max(...all.map(([x]) => x))];
  let [low, high] = fixedRange ?? [Math.min(...all.map(([, y]) => y)), Math.max(...all.map(([, y]) => y))];
  if (!fixedRange) {
    const room = (high - low || Math.abs(high) || 1) * 0.06;
    [low, high] = [low - room, high + room];
  }
  const yTicks = ticks(low, high, 4);
  const left = 12 + 7 * Math.max(...yTicks.found.map((tick) => fixed(tick, yTicks.digits).length));
  const [right, top, bottom] = [12, 10, 28];
  const x = (step) => left + (last === first ? 0.5 : (step - first) / (last - first)) * (width - left - right);
  const y = (value) => top + (1 - (value - low) / (high - low)) * (height - top - bottom);
  const path = (points) => points.map(([step, value], place) =>
    `${place ? "L" : "M"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`).join("");

  const cursor = svg("line", { class: "cursor", y1: top, y2: height - bottom, visibility: "hidden" });
  const xTicks = ticks(first, last, Math.min(6, width / 70)).found.filter((tick) => Number.isInteger(tick));
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title },
    yTicks.found.map((tick) => [
      svg("line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }),
      svg("text", { class: "tick", x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, fixed(tick, yTicks.digits)),
    ]),
    xTicks.map((tick) => svg("text", { class: "tick", x: x(tick), y: height - 10, "text-anchor": "middle" }, count(tick))),
    series.map(({ points, kind, colour }) => {
      if (kind === "held-out") {
        return [
          svg("path", { class: `line held-out ${colour}`, d: path(points) }),
          points.map(([step, value]) => svg("circle", { class: `dot ${colour}`, cx: x(step), cy: y(value), r: 4 })),
        ];
      }
      const noisy = points.length >= 20;
      const smooth = noisy ? movingAverage(points, Math.max(1, Math.round(points.length / 20))) : points;
      return [
        noisy && svg("path", { class: `line raw ${colour}`, d: path(points) }),
        svg("path", { class: `line ${colour}`, d: path(smooth) }),
        points.length === 1 && svg("circle", { class: `dot ${colour}`, cx: x(points[0][0]), cy: y(points[0][1]), r: 4 }),
      ];
    }),
    cursor);
  const steps = [...new Set(all.map(([step]) => step))];
  const nearestTo = (event) => {
    const at = (event.clientX - drawing.getBoundingClientRect().left) * (width / drawing.clientWidth || 1);
    return steps.reduce((best, step) => (Math.abs(x(step) - at) < Math.abs(x(best) - at) ? step : best));
  };
  if (onStep) {
    drawing.classList.add("clickable");
    drawing.addEventListener("click", (event) => onStep(nearestTo(event)));
  }
  drawing.addEventListener("pointermove", (event) => {
    const nearest = nearestTo(event);
    cursor.setAttribute("x1", x(nearest));
    cursor.setAttribute("x2", x(nearest));
    cursor.setAttribute("visibility", "visible");
    const values = series.map(({ name, points }) => {
      const point = points.find(([step]) => step === nearest);
      return point && `${name} ${fixed(point[1], 4)}`;
    });
    readout.textContent = [`step ${count(nearest)}`, ...values.filter(Boolean)].join(" · ");
  });
  drawing.addEventListener("pointerleave", () => {
    cursor.setAttribute("visibility", "hidden");
    readout.textContent = "\u00a0";
  });
  host.replaceChildren(drawing);
}

// How many scores lie in each of ten bins; dashed lines are thresholds. A click on a bin calls `onBin` with its lower end.
function scoreHistogram(title, statistics, thresholds, onBin) {
  const most = Math.max(...statistics.histogram, 1);
  const columns = statistics.histogram.map((records, bin) => {
    const bar = el("span", { class: "column" });
    bar.style.height = `${(100 * records) / most}%`;
    const inside = [el("span", { class: "above" }, records ? count(records) : ""), bar];
    const words = `${count(records)} from ${bin} to ${bin + 1}`;
    return onBin && records
      ? el("button", { type: "button", class: "bin", title: words, "aria-label": `${title}: ${words}`, onclick: () => onBin(bin) }, inside)
      : el("span", { class: "bin", title: words }, inside);
  });
  const marks = thresholds.map((score) => placed("threshold", score / 10));
  const labels = Array.from({ length: 11 }, (_, score) => {
    const label = placed("label", score / 10);
    label.textContent = score;
    return label;
  });
  const [q1, median, q3] = statistics.quartiles;
  return el("figure", { class: "chart" },
    el("figcaption", {}, el("strong", {}, title), el("span", { class: "legend" }, `${count(statistics.records)} scores`)),
    el("div", { class: "histogram", role: onBin ? "group" : "img", "aria-label": `${title}: ${statistics.histogram.join(", ")}` }, columns, marks),
    el("div", { class: "axis" }, labels),
    el("p", { class: "readout muted" }, `mean ${fixed(statistics.mean, 2)} · quartiles ${fixed(q1, 2)}, ${fixed(median, 2)}, ${fixed(q3, 2)}`));
}

// A point with its interval on a track from `low` to `high`.
function interval(estimate, [low, high], className, zero) {
  const place = (value) => Math.min(1, Math.max(0, (value - low) / (high - low)));
  return el("span", { class: `track ${className}` },
    zero !== undefined && placed("zero", place(zero)),
    placed("whisker", place(estimate.low), place(estimate.high)),
    placed("point", place(estimate.mean)));
}

// The range of all intervals with some room, never empty.
function rangeOf(estimates) {
  const low = Math.min(...estimates.map((one) => one.low));
  const high = Math.max(...estimates.map((one) => one.high));
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  return [low - room, high + room];
}
