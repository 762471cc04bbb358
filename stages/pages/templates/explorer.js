"use strict";
// Both explorers draw rows of the page's data with Vega; nothing is fitted here.
const data = JSON.parse(document.getElementById("data").textContent);
const BLUE = "#3987e5", ORANGE = "#d95926";
const digits = (value, places) => value.toFixed(places).replace("-", "\u2212");
const number = (value) => value.toLocaleString("en-US");
// Where few values differ, a column is those, and a character for each row.
const unpacked = (column) => column.levels
  ? [...column.rows].map((at) => column.levels[at.charCodeAt(0) - 35]) : column;

function fill(select, values, words = (value) => String(value).replaceAll("_", " ")) {
  const before = select.value;
  select.replaceChildren(...values.map((value) => new Option(words(value), value)));
  if (values.map(String).includes(before)) select.value = before;
}

async function chart(box, title) {
  const spec = structuredClone(data.chart);
  for (const axis of spec.axes) if (axis.title) axis.title = title;
  const view = new window.vega.View(window.vega.parse(spec), { renderer: "svg" }).initialize(box).hover();
  const fit = () => view.width(box.clientWidth || 300).runAsync();
  new ResizeObserver(fit).observe(box);
  await fit();
  return (sets) => {
    for (const name of ["points", "lines", "marks"]) view.data(name, sets[name] ?? []);
    return view.runAsync();
  };
}

const explorers = {
  cnn: {
    axis: "Parameters N",
    prepare(controls) {
      const columns = Object.entries(data.cnn.fits).map(([name, column]) => [name, unpacked(column)]);
      this.rows = columns[0][1].map((_, i) =>
        Object.fromEntries(columns.map(([name, column]) => [name, column[i]])));
      for (const name of data.cnn.choices) {
        fill(controls[name], name === "failed" ? data.cnn.failed
          : [...new Set(this.rows.map((row) => row[name]))]);
        controls[name].value = data.cnn.start[name];
      }
      controls.tolerance.value = 100 * data.cnn.tolerance;
    },
    draw(controls, say) {
      const { sweep, metric, epochs, failed } = Object.fromEntries(new FormData(controls.sweep.form));
      const same = (row) => data.cnn.choices.every((name) => String(row[name]) === controls[name].value
        || (name === "failed" && (row.failed === "any" || row.failed.split(", ").includes(controls.failed.value))));
      const row = this.rows.find(same);
      if (!row) { say("No such fit: this sweep lacks what was chosen."); return {}; }
      const runs = data.cnn.sweeps[sweep];
      const [width, seed, out] = [runs.width, runs.seed, runs.failed].map(unpacked);
      const values = runs.values[epochs] ?? runs.values.last; // of pooled epochs the last is drawn
      const accuracy = unpacked(values[metric.replace("_error", "_accuracy")]);
      const points = accuracy.map((value, i) => ({
        x: runs.widths[width[i]], y: metric.endsWith("_error") ? 1 - value : value, out: out[i],
        label: `width ${width[i]}, seed ${seed[i]}` }))
        .filter((point) => point.y > 0 && (failed === "included" || !point.out));
      const ends = [runs.widths[row.first_width], runs.widths[row.last_width]];
      const at = (runs.quantiles[epochs][failed] ?? runs.quantiles[epochs].included)[metric];
      const marks = unpacked(at[row.quantile]).map((y, i) => ({ x: Object.values(runs.widths)[i], y,
          colour: ORANGE, label: `quantile ${row.quantile}` }))
        .filter((mark) => mark.x >= ends[0] && mark.x <= ends[1] && mark.y > 0);
      const lines = row.slope === null ? [] : ends.map((x) =>
        ({ x, y: row.amplitude * x ** row.slope, colour: BLUE, label: "fit" }));
      const tolerance = controls.tolerance.value / 100;
      const outcome = row.agrees === null ? 2
        : tolerance >= row.agrees ? 0 : tolerance < row.differs ? 1 : 2;
      const value = row.dimension === null ? `no 4/alpha (${row.status})`
        : `4/alpha = <b>${digits(row.dimension, 2)}</b>` + (row.dimension_low === null ? ""
          : ` [${digits(row.dimension_low, 2)}, ${row.dimension_high === null ? "\u2013"
            : digits(row.dimension_high, 2)}]`);
      const verdict = row.published === null ? "nothing published to compare with"
        : `published ${row.published}: <b class="o${outcome}">${data.outcomes[outcome]}</b> ` +
          `within ${controls.tolerance.value}%`;
      say(`${value}; ${verdict}. alpha = ${row.slope === null ? "\u2013" : digits(-row.slope, 3)}, ` +
        `${number(row.runs)} runs, ${number(row.rows)} values.`);
      return { points, lines, marks };
    },
  },
  parity: {
    axis: "Optimizer steps",
    prepare(controls) {
      fill(controls.configuration, Object.keys(data.parity));
      controls.configuration.selectedIndex = controls.configuration.length - 1;
      controls.task.value = controls.slide.value = 1;
    },
    draw(controls, say, changed) {
      const runs = data.parity[controls.configuration.value];
      controls.task.max = controls.slide.max = runs.loss.length;
      if (changed === controls.slide) controls.task.value = controls.slide.value;
      const task = Math.min(Math.max(Math.round(controls.task.value) || 1, 1), runs.loss.length);
      controls.slide.value = task;
      const line = (values, label, colour) => unpacked(values).map((y, i) => ({ x: runs.steps[i], y, label, colour }))
        .filter((point) => point.y > runs.learned_below / 100);
      const learned = unpacked(runs.median)[task - 1];
      const seeds = runs.learned.map((seed) => unpacked(seed)[task - 1] ?? "never")
        .map((step) => step === "never" ? step : number(step));
      say(`Task ${task}: ` + (learned === null ? "not learned by most seeds"
        : `learned at step <b>${number(learned)}</b>, the median over seeds`) + ` (${seeds.join(", ")}).`);
      const lines = [...line(runs.mean, "mean of all tasks", "currentColor"),
        ...line(runs.loss[task - 1], `task ${task}`, BLUE)];
      const marks = learned === null ? [] : [{ x: learned, y: runs.learned_below, colour: ORANGE,
        label: "learned" }];
      return { lines, marks };
    },
  },
};

async function start() {
  const state = new URLSearchParams(location.hash.slice(1));
  for (const [name, explorer] of Object.entries(explorers)) {
    const box = document.getElementById(`explore-${name}`);
    if (!box || !data[name]) continue;
    box.hidden = false;
    const form = box.querySelector("form"), output = box.querySelector("output");
    const controls = Object.fromEntries([...form.elements].map((control) => [control.name, control]));
    explorer.prepare(controls);
    for (const [key, control] of Object.entries(controls)) {
      const kept = state.get(`${name}.${key}`);
      if (kept === null) continue;
      const before = control.value;
      control.value = kept;
      if (control.value === "") control.value = before; // of another version of the page
    }
    const put = await chart(box.querySelector(".chart"), explorer.axis);
    const draw = (changed) => put(explorer.draw(controls, (text) => { output.innerHTML = text; }, changed));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", async (event) => {
      await draw(event.target);
      for (const [key, control] of Object.entries(controls)) {
        if (key !== "slide") state.set(`${name}.${key}`, control.value);
      }
      history.replaceState(null, "", `#${state}`);
    });
    await draw();
    if ([...state.keys()].some((key) => key.startsWith(`${name}.`))) box.scrollIntoView();
  }
  document.documentElement.dataset.explorers = "ready";
}
start();
