// Heatmap, crystal and curves, drawn by Plotly from the numbers below /api/.
"use strict";
(() => {
  const CONFIG = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
  const STATES = ["not known yet", "a stage failed", "∞: nothing percolates"];
  const MARKS = ["", "✕", "∞"];
  const WRITTEN_CELLS = 400; // more cells have no room for numbers
  const SUPERSCRIPT = { "+": "⁺", "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  // Plotly takes texts for HTML of its own: here they are only ever texts.
  const plain = (text) =>
    String(text).replace(/[&<>"']/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;" })[sign]);

  const ion = (text) => plain(text).replace(/([A-Za-z])(\d*[+-])$/, (_, letter, charge) => letter + [...charge].map((sign) => SUPERSCRIPT[sign]).join(""));

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

  async function fetched(address) {
    const answer = await fetch(address);
    if (answer.status === 202) return null; // being read: the next tick asks again
    const content = await answer.json();
    if (!answer.ok) throw new Error(content.error);
    return content;
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
      hovertext: words(state, (value, line, place) => (value === null ? "" : `${where(line, place)}<br>${STATES[value]}`)),
      hovertemplate: "<b>%{customdata}</b><br>%{hovertext}<extra></extra>",
    };
    const known = {
      ...common,
      z,
      ...(isScore ? { zmin: 0, zmax: 1 } : {}),
      colorscale: "Viridis",
      reversescale: found.lower_is_better,
      colorbar: { title: { text: plain(isScore ? label : unit), side: "right" }, thickness: 14, outlinewidth: 0 },
      ...(cells <= WRITTEN_CELLS ? { texttemplate: "%{z:.2f}" } : {}),
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
    return { data: [awaited, known, best], layout };
  }

  function sparse(names) {
    const step = Math.ceil(names.length / 40);
    const kept = names.map((_, number) => number).filter((number) => number % step === 0);
    return { tickvals: kept, ticktext: kept.map((number) => plain(names[number])) };
  }

  function startHeatmap(place) {
    const choice = document.getElementById("criterion");
    const caption = document.getElementById("heatmap-caption");
    let found = null;
    let shown = "";
    const draw = async () => {
      const { data, layout } = heatmapFigure(found);
      const isFirst = !place.data;
      await Plotly.react(place, data, theme(layout), CONFIG);
      if (isFirst) {
        place.on("plotly_click", (event) => {
          const [line, column] = event.points.find((point) => Array.isArray(point.pointNumber)).pointNumber;
          const key = found.key[line][column];
          if (key !== null) location.href = found.candidate_url + encodeURIComponent(key);
        });
      }
    };
    const renew = async () => {
      try {
        const content = await fetched(`${place.dataset.src}?criterion=${encodeURIComponent(choice.value)}`);
        if (content === null || content.criterion !== choice.value || JSON.stringify(content) === shown) return;
        found = content;
        shown = JSON.stringify(content);
        await draw();
        caption.textContent = `${found.known} of ${found.total} candidates have a ${found.label}${found.unit ? ` (${found.unit})` : " (1 is the best of the table)"}. The best are circled. Click a cell for its candidate.`;
        place.setAttribute("aria-label", `Heatmap of ${found.label}: ${caption.textContent} The table of candidates holds the same numbers.`);
        place.dataset.known = found.known;
      } catch (error) {
        if (!found) caption.textContent = error.message;
      }
    };
    choice.addEventListener("change", renew);
    document.addEventListener("lzc:tick", renew);
    renew();
    return () => found && draw();
  }

  function startStructure(place) {
    const choice = document.getElementById("structure-stage");
    let figure = null;
    const draw = () => {
      for (const trace of figure.data) {
        if (trace.mode === "text") trace.textfont = { ...trace.textfont, color: color("ink") };
        if (trace.name === "cell") trace.line = { ...trace.line, color: color("quiet") };
      }
      const { template, ...layout } = figure.layout;
      layout.legend = { ...layout.legend, font: { color: color("ink") } };
      layout.uirevision = "kept";
      return Plotly.react(place, figure.data, theme(layout), CONFIG);
    };
    const renew = async () => {
      try {
        figure = await fetched(`${place.dataset.src}?stage=${encodeURIComponent(choice.value)}`);
        await draw();
        place.dataset.drawn = choice.value;
      } catch (error) {
        place.textContent = error.message;
      }
    };
    choice.addEventListener("change", renew);
    renew();
    return () => figure && draw();
  }

  function startCurves(place) {
    let drawn = [];
    const draw = (chart, curves) => {
      const data = curves.data.map((trace) => ({ ...trace, name: plain(trace.name) }));
      const legend = { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 12 } };
      const few = data.filter((trace) => trace.showlegend !== false).length <= 8;
      const layout = { ...curves.layout, showlegend: data.length > 1, legend: few ? legend : { font: { size: 11 } }, margin: { l: 20, r: 15, t: 20, b: 20 } };
      return Plotly.react(chart, data, theme(layout), CONFIG);
    };
    const start = async () => {
      try {
        const found = await fetched(place.dataset.src);
        place.textContent = found.length > 0 ? "" : "No stage has left a curve yet.";
        drawn = found.map((curves) => {
          const figure = document.createElement("figure");
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
          return [chart, curves];
        });
        for (const [chart, curves] of drawn) await draw(chart, curves);
        place.dataset.drawn = drawn.length;
      } catch (error) {
        place.textContent = error.message;
      }
    };
    start();
    return () => drawn.forEach(([chart, curves]) => draw(chart, curves));
  }

  const starters = { heatmap: startHeatmap, structure: startStructure, curves: startCurves };
  const again = Object.entries(starters)
    .map(([id, start]) => [document.getElementById(id), start])
    .filter(([place]) => place)
    .map(([place, start]) => start(place));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => again.forEach((redraw) => redraw()));
})();
