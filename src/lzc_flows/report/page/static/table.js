// The table of candidates: sorted, filtered and paged here, a page of rows in the document at a time.
"use strict";
const lzcTable = (() => {
  const NO_NUMBER = "–";

  // As the server writes numbers: four significant digits.
  function words(value) {
    if (value === null || value === undefined) return NO_NUMBER;
    if (value === "inf") return "∞";
    if (typeof value !== "number" || Number.isInteger(value)) return String(value);
    if (Math.abs(value) >= 1e4 || (value !== 0 && Math.abs(value) < 1e-4)) return value.toExponential(3);
    return String(Number(value.toPrecision(4)));
  }

  const numberOf = (value) => (value === "inf" ? Infinity : value);

  // What is missing comes last, whichever way the rest is sorted.
  function compare(first, second, descending, isNumber) {
    if (first === null || second === null) return (first === null) - (second === null);
    const order = isNumber ? numberOf(first) - numberOf(second) : String(first).localeCompare(String(second), "en", { numeric: true });
    return (Number.isNaN(order) ? 0 : order) * (descending ? -1 : 1);
  }

  // All words must occur; capitals count in words that have them: Ti is titanium, not a part of "pristine".
  function matcher(text) {
    const sought = text.split(/\s+/).filter(Boolean);
    return (lower, whole) => sought.every((word) => (word === word.toLowerCase() ? lower : whole).includes(word));
  }

  function start(content, { open }) {
    const { columns, rows } = content;
    const table = document.getElementById("table");
    const body = table.tBodies[0];
    const form = document.getElementById("filter");
    const pages = document.getElementById("pages");
    const status = document.getElementById("table-status");
    const place = Object.fromEntries(columns.map((column, number) => [column.name, number]));
    const texts = rows.map((row) => columns.flatMap((column, number) => (column.number ? [] : [row[number]])).join(" "));
    const lowered = texts.map((text) => text.toLowerCase());
    let sort = { column: 0, descending: false };
    let page = 0;
    let shown = [];

    function limits() {
      return [...form.querySelectorAll("input[data-limit]")]
        .filter((input) => input.value !== "" && input.validity.valid)
        .map((input) => [place[input.dataset.column], input.dataset.limit, Number(input.value)]);
    }

    function filter() {
      const matches = matcher(document.getElementById("filter-words").value);
      const bounds = limits();
      const within = (row) =>
        bounds.every(([column, side, bound]) => {
          const value = numberOf(row[column]);
          return value !== null && (side === "low" ? value >= bound : value <= bound);
        });
      shown = rows.map((_, number) => number).filter((number) => matches(lowered[number], texts[number]) && within(rows[number]));
      order();
    }

    function order() {
      const { column, descending } = sort;
      const isNumber = columns[column].number;
      // rows stand best first: equal ones stay so
      shown.sort((first, second) => compare(rows[first][column], rows[second][column], descending, isNumber) || first - second);
      page = 0;
      draw();
    }

    function cell(column, number) {
      const value = rows[number][place[column.name]];
      if (column.name === "key") {
        const head = document.createElement("th");
        head.scope = "row";
        if (open.has(value)) {
          const link = head.appendChild(document.createElement("button"));
          link.type = "button";
          link.className = "link";
          link.textContent = value;
          link.addEventListener("click", () => open.show(value));
        } else head.textContent = value;
        return head;
      }
      const data = document.createElement("td");
      data.className = column.number ? "n" : column.name === "missing" ? "words" : "word";
      data.textContent = column.name === "cation" ? lzcFigures.ionText(value) : words(value);
      return data;
    }

    function draw() {
      const size = content.page_rows;
      const count = Math.max(1, Math.ceil(shown.length / size));
      page = Math.min(Math.max(page, 0), count - 1);
      const drawn = shown.slice(page * size, (page + 1) * size).map((number) => {
        const line = document.createElement("tr");
        line.append(...columns.map((column) => cell(column, number)));
        return line;
      });
      body.replaceChildren(...drawn);
      for (const [number, head] of [...table.tHead.rows[0].cells].entries()) {
        if (number === sort.column) head.setAttribute("aria-sort", sort.descending ? "descending" : "ascending");
        else head.removeAttribute("aria-sort");
      }
      const of = (number) => number.toLocaleString("en");
      status.textContent = `${of(shown.length)} of ${of(rows.length)} candidates`;
      document.getElementById("page-number").textContent = `Page ${of(page + 1)} of ${of(count)}`;
      pages.hidden = count === 1;
      const isFirst = page === 0;
      const isLast = page === count - 1;
      for (const button of pages.querySelectorAll("button")) {
        button.disabled = ["first", "previous"].includes(button.dataset.to) ? isFirst : isLast;
      }
      table.dataset.drawn = drawn.length;
    }

    for (const button of table.querySelectorAll("button.sort")) {
      button.addEventListener("click", () => {
        const column = place[button.dataset.column];
        sort = { column, descending: column === sort.column && !sort.descending };
        order();
      });
    }
    pages.addEventListener("click", (event) => {
      const to = event.target.dataset.to;
      if (!to) return;
      page = { first: 0, previous: page - 1, next: page + 1, last: Infinity }[to];
      draw();
      const still = pages.querySelector("button:not(:disabled)");
      if (event.target.disabled && still) still.focus(); // a disabled button would lose the keyboard
    });
    form.addEventListener("input", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(filter));
    filter();
    return {
      find(text) {
        form.reset();
        document.getElementById("filter-words").value = text;
        filter();
        document.getElementById("candidates").scrollIntoView();
        document.getElementById("filter-words").focus({ preventScroll: true });
      },
    };
  }

  return { start, words };
})();
