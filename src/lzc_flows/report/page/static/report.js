// The report: its figures are drawn from the data in the page, those of a candidate when it is opened.
"use strict";
(() => {
  const MANY = 3000; // points, beyond which WebGL draws them
  const NAMED = 8;
  const data = JSON.parse(document.getElementById("data").textContent);
  const { table } = data;
  const place = Object.fromEntries(table.columns.map((column, number) => [column.name, number]));
  const redraws = [];

  function startHeatmap(open) {
    const chart = document.getElementById("heatmap");
    const choice = document.getElementById("criterion");
    const { x, y, row, layers } = data.heatmaps;
    const key = row.map((line) => line.map((number) => (number === null ? null : table.rows[number][place.key])));
    const blank = () => row.map((line) => line.map(() => null));
    const finite = (value) => (typeof value === "number" ? value : null);
    const found = () => {
      const layer = layers[choice.value];
      const column = place[choice.value];
      const [state, why] = [blank(), blank()];
      for (const [line, cell, number, reason] of layer.missing) {
        state[line][cell] = number;
        why[line][cell] = layer.reasons[reason];
      }
      const z = row.map((line) => line.map((number) => (number === null ? null : finite(table.rows[number][column]))));
      return { x, y, key, z, state, why, ...layer };
    };
    const draw = async () => {
      const now = found();
      await lzcFigures.drawHeatmap(chart, now);
      const said = `${now.known} of ${now.total} candidates have a ${now.label}${now.unit ? ` (${now.unit})` : " (1 is the best of the table)"}.`;
      document.getElementById("heatmap-caption").textContent = `${said} The best are circled. A click on a cell finds its candidate.`;
      chart.setAttribute("aria-label", `Heatmap of ${now.label}: ${said} The table of candidates holds the same numbers.`);
      const counts = now.reasons.map((reason, number) => [reason, now.missing.filter((cell) => cell[3] === number).length]);
      const list = counts.map(([reason, count]) => {
        const entry = document.createElement("li");
        entry.textContent = `${count} ${count === 1 ? "cell" : "cells"}: ${reason}`;
        return entry;
      });
      document.getElementById("missing-reasons").replaceChildren(...list);
      document.getElementById("missing").hidden = list.length === 0;
      chart.dataset.drawn = choice.value;
    };
    choice.addEventListener("change", draw);
    redraws.push(draw);
    return draw().then(() =>
      chart.on("plotly_click", (event) => {
        const cell = lzcFigures.cellOf(event);
        const name = cell && key[cell[0]][cell[1]];
        if (name) open.show(name);
      })
    );
  }

  function startPareto(open) {
    const chart = document.getElementById("pareto");
    const caption = document.getElementById("pareto-caption");
    const choice = document.getElementById("pareto-tier");
    if (data.pareto.length === 0) {
      caption.textContent = "No candidate has both a performance and a cost.";
      chart.hidden = true;
      return Promise.resolve();
    }
    const chosen = () => data.pareto[choice ? Number(choice.value) : 0];
    const of = (number, name) => table.rows[number][place[name]];
    const title = (number) => {
      const cation = of(number, "cation");
      return cation === "pristine" ? "undoped host" : `${lzcFigures.ion(cation)} on ${lzcFigures.plain(of(number, "column"))}`;
    };
    const figure = ({ rows, performance, front }) => {
      const gains = new Map(rows.map((number, index) => [number, performance[index]]));
      const points = (numbers) => ({
        type: rows.length > MANY ? "scattergl" : "scatter",
        x: numbers.map((number) => of(number, "cost_usd_per_kg")),
        y: numbers.map((number) => gains.get(number)),
        hovertext: numbers.map(title),
        customdata: numbers.map((number) => lzcFigures.plain(of(number, "key"))),
        hovertemplate: "<b>%{customdata}</b><br>%{hovertext}<br>%{x:.2f} $/kg, performance %{y:.3f}<extra></extra>",
      });
      const named = front.length <= NAMED ? { mode: "lines+markers+text", text: front.map((number) => lzcFigures.ion(of(number, "cation"))), textposition: "top center" } : { mode: "lines+markers" };
      return {
        data: [
          { ...points(rows), name: "candidates", mode: "markers", marker: { size: 8, color: lzcFigures.color("accent"), opacity: 0.65 } },
          { ...points(front), ...named, name: "Pareto front", line: { color: "#d55e00", width: 2, shape: "hv" }, marker: { size: 11, color: "#d55e00", symbol: "diamond" } },
        ],
        layout: { xaxis: { title: { text: "Raw-material cost ($/kg)" }, type: "log" }, yaxis: { title: { text: "Performance" }, zeroline: false }, height: 430 },
        escaped: true,
      };
    };
    const draw = async () => {
      const { rows, front } = chosen();
      await lzcFigures.drawCurves(chart, figure(chosen()));
      caption.textContent = `${rows.length} candidates; nothing is both cheaper and better than the ${front.length} on the front. The cost axis is logarithmic.`;
      chart.dataset.drawn = rows.length;
    };
    choice?.addEventListener("change", draw);
    redraws.push(draw);
    return draw().then(() =>
      chart.on("plotly_click", ({ points: [point] }) => {
        const { rows, front } = chosen();
        open.show(of((point.curveNumber === 0 ? rows : front)[point.pointNumber], "key"));
      })
    );
  }

  function startPlots() {
    return Promise.all(
      [...document.querySelectorAll(".plot")].map(async (chart) => {
        const draw = () => lzcFigures.drawCurves(chart, data.charts[Number(chart.dataset.chart)]);
        redraws.push(draw);
        await draw();
        chart.dataset.drawn = "yes";
      })
    );
  }

  // Crystals hold a part of the graphics card each, of which browsers give few: a closed candidate gives its own back.
  function startCandidate(details) {
    const content = JSON.parse(details.querySelector("script.figures").textContent);
    const crystal = details.querySelector(".crystal");
    const choice = details.querySelector(".crystal-choice");
    const curves = details.querySelector(".curves");
    let charts = [];
    const drawCrystal = () => crystal && lzcFigures.drawStructure(crystal, structuredClone(content.crystals[Number(choice.value)]));
    const draw = async () => {
      if (!details.open) return;
      await drawCrystal();
      for (const [chart, found] of charts) await lzcFigures.drawCurves(chart, found);
      details.dataset.drawn = charts.length;
    };
    choice?.addEventListener("change", drawCrystal);
    redraws.push(draw);
    details.addEventListener("toggle", () => {
      if (details.open) {
        if (charts.length === 0) charts = content.curves.map((found) => [lzcFigures.addCurves(curves, found), found]);
        draw();
      } else if (crystal?.data) {
        Plotly.purge(crystal);
      }
    });
  }

  const sections = new Map([...document.querySelectorAll("details.candidate")].map((details) => [details.dataset.key, details]));
  const open = {
    has: (key) => sections.has(key),
    show(key) {
      const details = sections.get(key);
      if (!details) return found.find(key);
      details.open = true;
      details.scrollIntoView();
      return details.querySelector("summary").focus({ preventScroll: true });
    },
  };
  const found = lzcTable.start(table, { open });
  for (const details of sections.values()) startCandidate(details);
  Promise.all([startHeatmap(open), startPareto(open), startPlots()]).then(() => {
    document.body.dataset.ready = "yes";
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraws.forEach((draw) => draw()));
})();
