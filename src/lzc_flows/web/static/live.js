// Parts of a page that change are asked for again, as the server writes them; charts.js draws when told "lzc:tick".
"use strict";
(() => {
  const pollMs = Number(document.body.dataset.pollMs);
  const banner = document.getElementById("away");
  const seen = new WeakMap();

  function say(text) {
    banner.hidden = !text;
    if (text && banner.textContent !== text) banner.textContent = text;
  }

  function isBeingRead(region) {
    const selection = document.getSelection();
    return selection && !selection.isCollapsed && region.contains(selection.anchorNode);
  }

  // What is open stays open, what has the keyboard keeps it.
  function replace(region, html) {
    const reachable = () => [...region.querySelectorAll("a, summary, [tabindex]")];
    const open = [...region.querySelectorAll("details[open]")].map((entry) => entry.id);
    const focused = reachable().indexOf(document.activeElement);
    const scrolled = region.querySelector(".scroll")?.scrollLeft ?? 0;
    region.innerHTML = html;
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (focused >= 0) reachable()[focused]?.focus({ preventScroll: true });
    const scroll = region.querySelector(".scroll");
    if (scroll) scroll.scrollLeft = scrolled;
  }

  async function renew(region) {
    const asked = region.dataset.live;
    const answer = await fetch(asked, { cache: "no-store" });
    const text = await answer.text();
    if (answer.status === 503) return "The database does not answer. This page goes on when it is back.";
    if (!answer.ok || region.dataset.live !== asked) return "";
    const since = answer.headers.get("x-database-away-since");
    if (text !== seen.get(region) && !isBeingRead(region)) {
      replace(region, text);
      seen.set(region, text);
    }
    if (!since) return "";
    return `The database has not answered since ${since}. What stands here is from before; it goes on when the database is back.`;
  }

  async function tick() {
    const regions = [...document.querySelectorAll("[data-live]")];
    try {
      if (regions.length > 0) {
        const said = await Promise.all(regions.map(renew));
        say(said.find((text) => text) ?? "");
      }
      const retry = document.querySelector("[data-retry]");
      if (retry && (await fetch(location.href, { cache: "no-store" })).ok) location.reload();
      document.dispatchEvent(new Event("lzc:tick"));
    } catch {
      say("The page's server has ended, or is not reached: start `lzc web` again.");
    }
  }

  async function loop() {
    if (!document.hidden) await tick();
    setTimeout(loop, pollMs);
  }

  function turn(region, part, address) {
    region.dataset.live = part;
    history.replaceState(null, "", address);
    renew(region).then(say, () => {});
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-part]");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    const sort = new URL(link.href).searchParams.get("sort") ?? "rank";
    const kept = document.querySelector("#filter [name=sort]");
    if (kept) kept.value = sort;
    turn(link.closest("[data-live]"), link.dataset.part, link.href);
  });

  const filter = document.getElementById("filter");
  if (filter) {
    let waiting;
    const look = () => {
      const region = document.getElementById("table");
      const query = new URLSearchParams(new FormData(filter)).toString();
      turn(region, `${region.dataset.live.split("?")[0]}?${query}`, `${filter.action}?${query}`);
    };
    filter.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(look, 200);
    });
    filter.addEventListener("submit", (event) => {
      event.preventDefault();
      look();
    });
  }

  setTimeout(loop, pollMs);
})();
