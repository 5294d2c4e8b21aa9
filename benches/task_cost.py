#!/usr/bin/env python3
"""Draws what a task costs in a fresh sandbox, in a Python pool and in a process of its own.

    wasmpool bench --filter dispatch --json report.json
    benches/task_cost.py report.json >docs/images/task-cost.svg

The figures are the medians of the question `dispatch`, one task at a time: a round trip that does
next to nothing. The scale is logarithmic, and the picture says so. Colours follow the reader's
light or dark setting. Only the standard library is needed.
"""

import html
import json
import math
import sys

QUESTION = "dispatch"
SUBJECT = "one at a time"

# The arms of the report, and what the picture calls them.
BARS = [
    ("fresh", "wasmpool, a fresh sandbox"),
    ("python", "Python, ProcessPoolExecutor"),
    ("process", "native, a process for each task"),
]

WIDTH = 760
LEFT = 240
RIGHT = 160
TOP = 62
BAR = 26
STEP = 42

STYLE = """
    .page { fill: #ffffff; stroke: #d0d7de }
    text { font: 14px system-ui, sans-serif; fill: #24292f }
    .title { font-weight: 600; font-size: 16px }
    .small { font-size: 12px; fill: #57606a }
    .grid { stroke: #d0d7de }
    .value { paint-order: stroke; stroke: #ffffff; stroke-width: 5px }
    .bar { fill: #8c959f }
    .own { fill: #1a7f37 }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117; stroke: #3d444d }
      text { fill: #e6edf3 }
      .small { fill: #9198a1 }
      .grid { stroke: #3d444d }
      .value { stroke: #0d1117 }
      .bar { fill: #7d8590 }
      .own { fill: #3fb950 }
    }
"""


def figures(report):
    """The seconds that each arm took, and how many times those of the first, in the bars' order.

    The ratio is that of the report, the median of the rounds' ratios, where it has one.
    """
    for question in report["questions"]:
        if question["id"] == QUESTION:
            break
    else:
        sys.exit(f"error: the report has no question `{QUESTION}`")
    rows = {row["arm"]: row for row in question["rows"] if row["subject"] == SUBJECT}
    missing = [arm for arm, _ in BARS if arm not in rows]
    if missing:
        sys.exit(f"error: the report has no figure for {', '.join(missing)}")
    first = BARS[0][0]

    def ratio(row):
        if row["ratio"] is not None and row["ratio"]["to"] == first:
            return row["ratio"]["median"]
        return row["median"] / rows[first]["median"]

    return [(rows[arm]["median"], ratio(rows[arm])) for arm, _ in BARS]


def time(seconds):
    """A time with three significant digits: `10.5 µs`."""
    for unit, size in [("s", 1), ("ms", 1e-3), ("µs", 1e-6)]:
        # So that 999.9 µs is not rounded to 1000 µs.
        if seconds >= 0.9995 * size or unit == "µs":
            value = seconds / size
            # 99.96 is written as 100, so it has three digits before the point already.
            digits = 2 - min(2, max(0, math.floor(math.log10(value * 1.0005))))
            return f"{value:.{digits}f} {unit}"


def power_of_ten(exponent):
    for unit, least in [("s", 0), ("ms", -3), ("µs", -6)]:
        if exponent >= least:
            return f"{10 ** (exponent - least)} {unit}"
    return f"{10 ** (exponent + 9)} ns"


def times_as_much(ratio):
    return f"{ratio:.{1 if ratio < 9.95 else 0}f} times as long"


def draw(report):
    values, ratios = zip(*figures(report))
    # Half a power of ten below the shortest time at the least, so that its bar can be seen.
    first = math.floor(math.log10(min(values)) - 0.5)
    last = math.ceil(math.log10(max(values)) + 1e-9)
    height = TOP + STEP * len(BARS) + 50

    def x(seconds):
        share = (math.log10(seconds) - first) / (last - first)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    title = "The cost of a trivial task"
    scale = "Round trip of one task, median. Logarithmic scale: each line is 10 times the one before."
    told = [f"{name}: {time(value)}" for (_, name), value in zip(BARS, values)]
    bottom = TOP + STEP * len(BARS)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="title description">',
        f'  <title id="title">{title}</title>',
        f'  <desc id="description">{html.escape(scale + " " + "; ".join(told))}.</desc>',
        f"  <style>{STYLE}  </style>",
        f'  <rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="6"/>',
        f'  <text class="title" x="12" y="24">{title}</text>',
        f'  <text class="small" x="12" y="44">{scale}</text>',
    ]
    for exponent in range(first, last + 1):
        at = x(10.0**exponent)
        lines.append(
            f'  <line class="grid" x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{bottom}"/>'
        )
        lines.append(
            f'  <text class="small" x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">'
            f"{power_of_ten(exponent)}</text>"
        )
    for index, ((_, name), value) in enumerate(zip(BARS, values)):
        y = TOP + STEP * index + (STEP - BAR) // 2
        kind = "own" if index == 0 else "bar"
        label = time(value)
        if index > 0:
            label += f", {times_as_much(ratios[index])}"
        middle = y + BAR // 2 + 5
        lines += [
            f'  <text x="{LEFT - 10}" y="{middle}" text-anchor="end">{html.escape(name)}</text>',
            f'  <rect class="{kind}" x="{LEFT}" y="{y}" width="{x(value) - LEFT:.1f}" '
            f'height="{BAR}" rx="2"/>',
            f'  <text class="value" x="{x(value) + 8:.1f}" y="{middle}">{label}</text>',
        ]
    machine = report["machine"]
    origin = f"wasmpool bench on {machine['processor']}, {machine['parallelism']} threads"
    lines.append(f'  <text class="small" x="12" y="{height - 12}">{html.escape(origin)}</text>')
    lines.append("</svg>")
    return "\n".join(lines) + "\n"


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: benches/task_cost.py REPORT.json >docs/images/task-cost.svg")
    with open(sys.argv[1], encoding="utf-8") as file:
        report = json.load(file)
    sys.stdout.reconfigure(encoding="utf-8")
    sys.stdout.write(draw(report))


if __name__ == "__main__":
    main()
