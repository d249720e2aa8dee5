"""Draw the house of the sources and the way of the data: `python docs/draw_house.py` writes docs/images/house.svg."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path

INK, PAPER, LINE = "#1d2733", "#ffffff", "#8a97a6"
GROUND, PHYSICS, PICTURE, RUNS, STORE, MAKE, SPEAK = (
    *("#e4e8ed", "#d3e5f5", "#d9efdc", "#fbe3cf"),
    *("#f7efc6", "#f6d9dc", "#e4dbf3"),
)

# top floor first; rooms of one floor side by side
FLOORS: list[tuple[str, list[tuple[str, str]]]] = [
    (SPEAK, [("cli", "the lzc command")]),
    (SPEAK, [("web", "the live page")]),
    (SPEAK, [("api", "campaigns in Python")]),
    (MAKE, [("launch", "FireWorks, SLURM, recovery")]),
    (MAKE, [("flows", "campaign files, keys, gates")]),
    (MAKE, [("jobs", "jobflow Makers")]),
    (STORE, [("database", "MongoDB, summaries, queries")]),
    (RUNS, [("recovery", "runs under custodian")]),
    (RUNS, [("rehearsal", "the stand-in for VASP")]),
    (RUNS, [("engines", "NEP89, CHGNet, VASP, CP2K")]),
    (PICTURE, [("report", "figures, tables, pages")]),
    (PICTURE, [("ranking", "criteria, scores, intervals")]),
    (PHYSICS, [("hopping", "sites, hops, networks")]),
    (PHYSICS, [("band", "elastic bands")]),
    (PHYSICS, [("transport", "BVSE, diffusion"), ("dynamics", "MD")]),
    (PHYSICS, [("trajectory", "what dynamics leaves")]),
    (PHYSICS, [("crystal", "hosts, grids, ordering, cost")]),
    (GROUND, [("documents", "the words that all share")]),
    (GROUND, [("settings · errors · files · processes · data", "")]),
]

LEFT, TOP, WIDE, HIGH = 20, 96, 400, 34


@dataclass(frozen=True)
class Box:
    """A step on the way of the data; its middle is at x."""

    x: float
    y: float
    wide: float
    title: str
    words: str
    colour: str

    @property
    def high(self) -> float:
        """Its height."""
        return 44 if self.words else 28


WAY = [
    Box(665, 96, 220, "host crystal × doping grid", "crystal", PHYSICS),
    Box(665, 166, 200, "order", "crystal, engines", PHYSICS),
    Box(665, 236, 200, "relax", "engines, recovery", RUNS),
    Box(521, 326, 82, "bvse", "transport", PHYSICS),
    Box(609, 326, 82, "stability", "crystal", PHYSICS),
    Box(713, 326, 114, "aimd, arrhenius", "dynamics", PHYSICS),
    Box(819, 326, 86, "cineb", "hopping", PHYSICS),
    Box(819, 396, 86, "electronic", "engines", RUNS),
    Box(665, 476, 340, "MongoDB: tasks", "one document a stage; large data beside it", STORE),
    Box(665, 546, 340, "candidates", "one summary a candidate, built from these", STORE),
    Box(665, 616, 200, "ranking", "ranking", PICTURE),
    Box(665, 686, 200, "heatmap, table, report", "report", PICTURE),
]
ARROWS = [
    (0, 1),
    (1, 2),
    (2, 3),
    (2, 4),
    (2, 5),
    (2, 6),
    (6, 7),
    (3, 8),
    (4, 8),
    (5, 8),
    (7, 8),
    (8, 9),
    (9, 10),
    (10, 11),
]


def text(x: float, y: float, words: str, size: int = 13, weight: str = "normal", anchor: str = "start") -> str:
    """Return a line of text."""
    style = f'font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="{INK}"'
    return f'<text x="{x:g}" y="{y:g}" {style}>{escape(words)}</text>'


def rectangle(x: float, y: float, wide: float, high: float, colour: str) -> str:
    """Return a box with rounded corners."""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{wide:g}" height="{high:g}" rx="4" fill="{colour}" '
        f'stroke="{LINE}" stroke-width="1"/>'
    )


def house() -> list[str]:
    """Return roof and floors."""
    middle, right = LEFT + WIDE / 2, LEFT + WIDE
    shapes = [
        f'<path d="M{LEFT - 12} {TOP} L{middle} {TOP - 46} L{right + 12} {TOP} Z" fill="#c9cfd7" stroke="{LINE}"/>'
    ]
    shapes.append(text(middle, TOP - 12, "lzc-flows", 15, "bold", "middle"))
    for number, (colour, rooms) in enumerate(FLOORS):
        y, wide = TOP + number * HIGH, WIDE / len(rooms)
        for place, (name, words) in enumerate(rooms):
            x = LEFT + place * wide
            shapes.append(rectangle(x, y, wide, HIGH, colour))
            shapes.append(text(x + 10, y + 22, name, 14, "bold"))
            shapes.append(text(x + (112 if len(rooms) == 1 else 88), y + 22, words))
    ground = TOP + len(FLOORS) * HIGH
    shapes.append(f'<path d="M{LEFT - 16} {ground} H{right + 16}" stroke="{INK}" stroke-width="3"/>')
    shapes.append(text(middle, ground + 24, "a room imports only from floors below its own", 13, "normal", "middle"))
    return shapes


def way() -> list[str]:
    """Return the way of the data, from the host crystal to the report."""
    shapes = [text(665, 70, "the way of the data", 15, "bold", "middle")]
    for start, end in ARROWS:
        one, other = WAY[start], WAY[end]
        # several arrows reach a wide box each below its own start
        x = one.x if other.wide > 300 and one.wide < 120 else other.x
        from_x = one.x if one.wide < 250 else x
        shapes.append(
            f'<path d="M{from_x:g} {one.y + one.high:g} L{x:g} {other.y - 5:g}" stroke="{INK}" stroke-width="1.4" '
            f'fill="none" marker-end="url(#tip)"/>'
        )
    for box in WAY:
        shapes.append(rectangle(box.x - box.wide / 2, box.y, box.wide, box.high, box.colour))
        shapes.append(text(box.x, box.y + 19, box.title, 13 if box.wide > 120 else 12, "bold", "middle"))
        shapes.append(text(box.x, box.y + 36, box.words, 12, "normal", "middle"))
    return shapes


def picture() -> str:
    """Return the whole drawing as SVG."""
    tip = '<marker id="tip" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    return "\n".join(
        [
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 890 790" font-family="sans-serif" role="img">',
            "<title>The house of lzc-flows: its rooms from the ground up, and the way of the data</title>",
            f'<defs>{tip}<path d="M0 0 L8 4 L0 8 Z" fill="{INK}"/></marker></defs>',
            f'<rect width="890" height="790" fill="{PAPER}"/>',
            *house(),
            *way(),
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    (Path(__file__).parent / "images" / "house.svg").write_text(picture(), encoding="utf-8")
