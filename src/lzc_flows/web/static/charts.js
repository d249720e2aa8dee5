// Heatmap, crystal and curves, drawn by figures.js from the numbers below /api/.
"use strict";
(() => {
  async function fetched(address) {
    const answer = await fetch(address);
    if (answer.status === 202) return null; // being read: the next tick asks again
    const content = await answer.json();
    if (!answer.ok) throw new Error(content.error);
    return content;
  }

  function startHeatmap(place) {
    const choice = document.getElementById("criterion");
    const caption = document.getElementById("heatmap-caption");
    let found = null;
    let shown = "";
    const draw = async () => {
      const isFirst = !place.data;
      await lzcFigures.drawHeatmap(place, found);
      if (isFirst) {
        place.on("plotly_click", (event) => {
          const [line, column] = lzcFigures.cellOf(event);
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
    const draw = () => lzcFigures.drawStructure(place, figure);
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
    const start = async () => {
      try {
        const found = await fetched(place.dataset.src);
        place.textContent = found.length > 0 ? "" : "No stage has left a curve yet.";
        drawn = found.map((curves) => [lzcFigures.addCurves(place, curves), curves]);
        for (const [chart, curves] of drawn) await lzcFigures.drawCurves(chart, curves);
        place.dataset.drawn = drawn.length;
      } catch (error) {
        place.textContent = error.message;
      }
    };
    start();
    return () => drawn.forEach(([chart, curves]) => lzcFigures.drawCurves(chart, curves));
  }

  const starters = { heatmap: startHeatmap, structure: startStructure, curves: startCurves };
  const again = Object.entries(starters)
    .map(([id, start]) => [document.getElementById(id), start])
    .filter(([place]) => place)
    .map(([place, start]) => start(place));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => again.forEach((redraw) => redraw()));
})();
