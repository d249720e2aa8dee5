// What the live page and the report draw alike: heatmap, crystal and curves, as Plotly figures in the page's colours.
"use strict";
const lzcFigures = (() => {
  const CONFIG = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
  const STATES = ["not known yet", "a stage failed", "∞: nothing percolates"];
  const MARKS = ["", "✕", "∞"];
  const WRITTEN_CELLS = 400; // more cells have no room for numbers
  const SUPERSCRIPT = { "+": "⁺", "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  // Plotly takes texts for HTML of its own: here they are only ever texts.
  const plain = (text) =>
    String(text).replace(/[&<>"']/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;" })[sign]);

  const ionText = (text) => String(text).replace(/([A-Za-z])(\d*[+-])$/, (_, letter, charge) => letter + [...charge].map((sign) => SUPERSCRIPT[sign]).join(""));

  const ion = (text) => ionText(plain(text));

  function theme(layout) {
    const axis = { gridcolor: color("line"), linecolor: color("line"), tickcolor: color("line"), automargin: true };
    return {
      ...layout,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: color("ink") },
      hoverlabel: { bgcolor: color("card"), bordercolor: color("quiet"), font: { color: color("ink") } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: color("quiet"), activecolor: color("accent") },
      ...(layout.scene ? {} : { xaxis: { ...axis, ...layout.xaxis }, yaxis: { ...axis, ...layout.yaxis } }),
    };
  }

  function heatmapFigure(found) {
    const { x, y, z, state, key, label, unit } = found;
    const cells = x.length * y.length;
    const isScore = unit === "";
    const places = { x: x.map((_, number) => number), y: y.map((_, number) => number) };
    const common = { type: "heatmap", ...places, xgap: 2, ygap: 2, customdata: key.map((row) => row.map((name) => plain(name ?? ""))) };
    const words = (matrix, choose) => matrix.map((row, line) => row.map((value, place) => choose(value, line, place)));
    const where = (line, place) => `${ion(x[place])}, ${plain(y[line])}`;
    const shades = [color("awaited"), color("failed"), color("unbounded")];
    const scale = shades.flatMap((shade, number) => [[number / 3, shade], [(number + 1) / 3, shade]]);
    const awaited = {
      ...common,
      z: state,
      zmin: -0.5,
      zmax: 2.5,
      colorscale: scale,
      showscale: false,
      text: words(state, (value) => (value === null ? "" : MARKS[value])),
      texttemplate: "%{text}",
      hovertext: words(state, (value, line, place) => (value === null ? "" : `${where(line, place)}<br>${plain(found.why?.[line][place] ?? STATES[value])}`)),
      hovertemplate: "<b>%{customdata}</b><br>%{hovertext}<extra></extra>",
    };
    const known = {
      ...common,
      z,
      ...(isScore ? { zmin: 0, zmax: 1 } : {}),
      colorscale: "Viridis",
      reversescale: found.lower_is_better,
      colorbar: { title: { text: plain(isScore ? "score" : unit), side: "right" }, thickness: 14, outlinewidth: 0 },
      ...(cells <= WRITTEN_CELLS ? { texttemplate: `%{z:.${decimals(z)}f}` } : {}),
      hovertext: words(z, (value, line, place) => (value === null ? "" : where(line, place))),
      hovertemplate: `<b>%{customdata}</b><br>%{hovertext}<br>${plain(label)}: %{z:.4f}<extra></extra>`,
    };
    const room = Math.min(Math.max(y.length * 36 + 110, 230), 1000);
    const ticks = (names, write) => ({ tickvals: names.map((_, number) => number), ticktext: names.map(write), showgrid: false, zeroline: false });
    const layout = {
      height: room,
      margin: { l: 20, r: 20, t: 30, b: 10 },
      uirevision: "kept", // zoom and place stay while cells fill
      xaxis: { ...ticks(x, ion), side: "top", range: [-0.5, x.length - 0.5] },
      yaxis: { ...ticks(y, plain), range: [y.length - 0.5, -0.5] },
    };
    // many labels do not fit: Plotly chooses some of the numbers, which are then named
    if (y.length > 40) layout.yaxis = { showgrid: false, zeroline: false, range: [y.length - 0.5, -0.5], ...sparse(y) };
    const best = {
      type: "scatter",
      mode: "markers",
      x: found.best.map(([, place]) => place),
      y: found.best.map(([line]) => line),
      marker: { symbol: "circle-open", size: 31, color: "#d55e00", line: { width: 2.5 } },
      hoverinfo: "skip",
      showlegend: false,
    };
    return { data: [awaited, known, best, ...(cells <= WRITTEN_CELLS ? [hatch(state)] : [])], layout };
  }

  // As many as leave a number three digits or so: a cell holds no more.
  function decimals(z) {
    const largest = z.flat().reduce((most, value) => Math.max(most, Math.abs(value ?? 0)), 0);
    return largest >= 100 ? 0 : largest >= 10 ? 1 : 2;
  }

  function sparse(names) {
    const step = Math.ceil(names.length / 40);
    const kept = names.map((_, number) => number).filter((number) => number % step === 0);
    return { tickvals: kept, ticktext: kept.map((number) => plain(names[number])) };
  }

  // What has no number is hatched, whatever its colour; many cells are too small for that.
  function hatch(state) {
    const missing = state.flatMap((row, line) => row.map((why, place) => [why, line, place])).filter(([why]) => why !== null);
    return {
      type: "bar",
      x: missing.map(([, , place]) => place),
      y: missing.map(() => 0.94),
      base: missing.map(([, line]) => line - 0.47),
      width: 0.94,
      marker: { color: "rgba(0,0,0,0)", pattern: { shape: "/", fgcolor: color("hatch"), size: 9, solidity: 0.12 } },
      hoverinfo: "skip",
      showlegend: false,
    };
  }

  function drawHeatmap(place, found) {
    const { data, layout } = heatmapFigure(found);
    return Plotly.react(place, data, theme(layout), CONFIG);
  }

  // The cell that an event is about: its line and its place in the line.
  const cellOf = (event) => event.points.find((point) => Array.isArray(point.pointNumber))?.pointNumber;

  function drawStructure(place, figure) {
    for (const trace of figure.data) {
      if (trace.mode === "text") trace.textfont = { ...trace.textfont, color: color("ink") };
      if (trace.name === "cell") trace.line = { ...trace.line, color: color("quiet") };
    }
    const { template, ...layout } = figure.layout;
    layout.legend = { ...layout.legend, font: { color: color("ink") } };
    layout.uirevision = "kept";
    return Plotly.react(place, figure.data, theme(layout), CONFIG);
  }

  const escaped = (trace) => ({ ...trace, name: plain(trace.name), ...(trace.text ? { text: trace.text.map(plain) } : {}) });

  // Black lines and dots are seen by night too.
  const inked = (style) => (style?.color === "#000000" ? { ...style, color: color("ink") } : style);
  const seen = (trace) => ({ ...trace, ...(trace.line ? { line: inked(trace.line) } : {}), ...(trace.marker ? { marker: inked(trace.marker) } : {}) });

  // Lines that a legend names; more than stand above a figure stand at its side, and it takes the whole width.
  const MOST_ABOVE = 8;
  const ROOM_AT_THE_SIDE = 600; // px
  const LINE_PX = 30;
  const named = (data) => data.filter((trace) => trace.showlegend !== false).length;

  // Above the figure; of many lines at its side, and below it where there is no room there.
  function legendOf(place, lines) {
    if (lines <= MOST_ABOVE) return { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 12 } };
    if (place.clientWidth >= ROOM_AT_THE_SIDE) return { font: { size: 11 } };
    place.style.height = `${340 + LINE_PX * lines}px`;
    return { orientation: "h", yref: "container", y: 0, yanchor: "bottom", maxheight: LINE_PX * lines, font: { size: 11 } };
  }

  function drawCurves(place, curves) {
    const data = (curves.escaped ? curves.data : curves.data.map(escaped)).map(seen);
    const ticks = curves.layout.yaxis?.ticktext ? { yaxis: { ...curves.layout.yaxis, ticktext: curves.layout.yaxis.ticktext.map(plain) } } : {};
    const layout = { ...curves.layout, ...ticks, showlegend: data.length > 1, legend: legendOf(place, named(data)), margin: { l: 20, r: 15, t: 20, b: 20 } };
    return Plotly.react(place, data, theme(layout), CONFIG);
  }

  // A titled figure of curves with what to know before reading it; returns the element to draw in.
  function addCurves(place, curves) {
    const figure = document.createElement("figure");
    figure.classList.toggle("wide", named(curves.data) > MOST_ABOVE);
    const title = figure.appendChild(document.createElement("figcaption"));
    title.textContent = `${curves.stage}: ${curves.title}`;
    const chart = figure.appendChild(document.createElement("div"));
    chart.className = "chart";
    chart.setAttribute("role", "img");
    chart.setAttribute("aria-label", [curves.title, ...curves.data.map((trace) => trace.name)].join("; "));
    if (curves.note) {
      const note = figure.appendChild(document.createElement("p"));
      note.className = "quiet";
      note.textContent = curves.note;
    }
    place.append(figure);
    return chart;
  }

  return { CONFIG, color, plain, ion, ionText, theme, drawHeatmap, cellOf, drawStructure, drawCurves, addCurves };
})();
