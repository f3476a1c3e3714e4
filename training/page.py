"""`report.html`: a run on one page, without scripts and without anything that is fetched."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from io import StringIO
from itertools import product
from typing import Any, Literal, NamedTuple
from zlib import crc32

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator

from training.curves import Curve, Summary

PALETTE = {
    "ink": ("#24292f", "#e6edf3"),
    "grid": ("#d8dee4", "#30363d"),
    "raw": ("#a3acb5", "#5d6670"),
    "c0": ("#278fed", "#3d7df2"),
    "c1": ("#de700d", "#c9480f"),
    "c2": ("#0c6b4a", "#39db7f"),
    "c3": ("#b0709f", "#a0608f"),
    "c4": ("#82470e", "#f2c520"),
}
"""Colours on light and on dark ground by their names in the style sheet. Those of lines have a contrast of 3 to 1 at
least (WCAG 2.2, 1.4.11) and stay apart for people who do not see red, green or blue (tests/training/test_page.py)."""
PAPER = ("#ffffff", "#0d1117")
STYLES = list(product(("", "5 2", "1.5 1.5"), (name for name in PALETTE if name[0] == "c")))
"""Dash and colour of a chart's lines. What comes after the last is in the table only."""
SHOWN_TASKS, SHOWN_CHARS = 24, 2_000
SIZE_INCHES = (4.2, 2.5)
"""Of a chart. A telephone shows it at 1.2 times this size, a wide window at 1.3 times, beside two others."""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Nothing is loaded and nothing runs. Styles are inline, as matplotlib writes them."""
STYLE = """
:root { color-scheme: light dark; LIGHT }
@media screen and (prefers-color-scheme: dark) { :root { DARK } }
body { background: var(--paper); color: var(--ink); font: 15px/1.45 system-ui, sans-serif; margin: 0 auto;
  max-width: 80rem; padding: 1rem; overflow-wrap: anywhere }
h1 { font-size: 1.4rem; margin: 0 } h2 { font-size: 1.1rem; margin: 1.6rem 0 .4rem }
p { margin: .3rem 0; white-space: pre-wrap }
.charts { display: grid; gap: 1.2rem; margin-top: 1.2rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)) }
figure { break-inside: avoid; display: flex; flex-direction: column; justify-content: space-between; margin: 0 }
figcaption b { margin-right: .6em }
figure > svg { display: block; height: auto; width: 100% } svg text { font-family: inherit !important }
.key { display: inline-block; font-size: .85em; margin-right: .8em } .key svg { width: 1.9em; height: .6em }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: .9em }
th, td { border-bottom: 1px solid var(--grid); min-width: 3em; padding: .25em 1em .25em 0; text-align: left }
td:first-child { min-width: 7em } .n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
pre { border-left: 3px solid var(--grid); margin: .3rem 0; padding-left: .8em; white-space: pre-wrap; font-size: .9em }
@media print { body { font-size: 9pt; max-width: none } .charts { grid-template-columns: 1fr 1fr } }
"""
for _k, _ground in enumerate(("LIGHT", "DARK")):
    _colours = (f"--{name}: {pair[_k]};" for name, pair in {**PALETTE, "paper": PAPER}.items())
    STYLE = STYLE.replace(_ground, " ".join(_colours))


class Line(NamedTuple):
    """A curve of a chart. A noisy one is drawn by its means, over its pale values; the space between the two curves of
    `band` is shaded. Values are multiplied with `scale`."""

    name: str
    curve: Curve
    style: tuple[str, str] = STYLES[0]
    scale: float = 1.0
    is_noisy: bool = False
    band: tuple[Curve, Curve] | None = None


def render(summary: Summary, state: str, about: Sequence[str]) -> str:
    """The page as HTML; `state` says how far the run is, `about` what it is. All text from outside is escaped."""
    return "\n".join(
        (
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Training: {_text(state)}</title><style>{STYLE}</style></head><body><h1>Training</h1>",
            f"<p><b>{_text(state)}</b></p>",
            *(f"<p>{_text(line)}</p>" for line in about),
            "<p>Pale: each step. Lines: means of about a hundredth of the steps; validation as measured.</p>",
            f'<div class="charts">{"".join(_charts(summary))}</div>',
            *_tables(summary),
            "</body></html>\n",
        )
    )


def _charts(summary: Summary) -> Iterator[str]:
    curves, events = summary.curves, [line["step"] for line in summary.events]
    cells = [names[1] for names in curves if names[0] == "validation" and names[2] == "loss"]
    styled = zip(cells, STYLES[1:], strict=False)
    losses = [Line(cell, curves["validation", cell, "loss"], style) for cell, style in styled]
    losses.sort(key=lambda line: -line.curve.last)  # names stand as the lines' ends do
    unigram = ("unigram entropy", summary.last["unigram"]) if "unigram" in summary.last else None
    more = f"{len(cells) - len(losses)} more Cells are in the table" if len(cells) > len(losses) else ""
    loss = curves.get(("loss",))
    if loss:
        losses.append(Line("training", loss, is_noisy=True))
    yield _chart("Loss", "nats per token", losses, unigram, events, more=more)
    if loss and len(loss.means()) > 10:
        half = summary.last["step"] // 2
        yield _chart("Loss, second half of the steps so far", "nats per token", losses, None, events, half, more=more)
    for title, unit, named, scale, is_noisy in (
        ("Learning rate", "", {"lr": ""}, 1.0, False),
        ("Gradient norm before clipping", "L2 norm", {"gradient_norm": ""}, 1.0, True),
        ("Speed", "tokens/s", {"tokens_per_s": ""}, 1.0, True),
        ("Model FLOP utilisation (MFU)", "% of the peak", {"mfu": ""}, 100.0, True),
        ("Waiting for data", "% of a step", {"waiting_share": ""}, 100.0, True),
        ("Memory", "GiB", {"resident_bytes": "process", "peak_gpu_bytes": "GPU, most so far"}, 2.0**-30, False),
    ):
        found = [(name, curves[key,]) for key, name in named.items() if (key,) in curves]
        lines = [Line(*line, style, scale, is_noisy) for line, style in zip(found, STYLES, strict=False)]
        if lines:
            is_norm = "gradient_norm" in named
            yield _chart(title, unit, lines, None, events if is_norm else (), 0, "log" if is_norm else "zero")
    for task in [names[1] for names in curves if names[0] == "tasks" and names[2] == "accuracy"][:SHOWN_TASKS]:
        accuracy, low, high, chance = (curves["tasks", task, name] for name in ("accuracy", "low", "high", "chance"))
        line = Line("accuracy ± standard error", accuracy, scale=100.0, band=(low, high))
        yield _chart(f"Task {task}", "% right", [line], ("chance", 100 * chance.last))


def _chart(
    title: str,
    unit: str,
    lines: Sequence[Line],
    level: tuple[str, float] | None,
    events: Sequence[int] = (),
    since: int = 0,
    y: Literal["free", "zero", "log"] = "free",
    more: str = "",
) -> str:
    """A figure whose caption holds all text but numbers and units: a line at `level`, marks at `events`, steps from
    `since` on; a y-axis of the values alone, from zero, or of logarithms."""

    def draw(axes: Axes) -> None:
        values = [value for line in lines for value in _draw(axes, line, since)]
        if level:
            axes.axhline(level[1], color=PALETTE["ink"][0], linewidth=0.8, linestyle=(0, (4, 3)))
        for step in (step for step in events if step >= since):
            axes.axvline(step, color=PALETTE["ink"][0], linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
        if y == "log":
            axes.set_yscale("log", subs=[])
            low, high = axes.dataLim.intervaly
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high > 10 * low else (1, 2, 3, 4, 5, 6, 8)))
            axes.yaxis.set_major_formatter("{x:g}")
        elif y == "zero":
            axes.set_ylim(0, 1.05 * axes.dataLim.ymax or 1)
        elif since:
            axes.set_ylim(min(values) - 0.1, max(values) + 0.1)

    keys = [_key(line.name, *line.style) for line in lines if line.name]
    keys += [_key(f"{level[0]} {level[1]:,.3g}", "4 3", "ink")] if level else []
    keys += [_key("event", "1 2", "ink")] if events else []
    caption = f"<b>{_text(title)}</b> {' '.join(keys)} {more}"
    return f"<figure><figcaption>{caption}</figcaption>{_svg(title, unit, draw)}</figure>\n"


def _draw(axes: Axes, line: Line, since: int) -> list[float]:
    """The values drawn, without the pale ones."""
    dash, name = line.style
    look: dict[str, Any] = {"color": PALETTE[name][0], "linewidth": 1.3, "marker": "o"}
    look |= {"linestyle": (0, tuple(map(float, dash.split())))} if dash else {}
    if line.band:
        ring = [*line.band[0].points(), *reversed(line.band[1].points())]
        axes.fill([s for s, _ in ring], [line.scale * v for _, v in ring], color=look["color"], alpha=0.2, linewidth=0)
    shown = [(step, line.scale * value) for step, value in line.curve.points() if step >= since]
    if line.is_noisy:
        axes.plot([step for step, _ in shown], [value for _, value in shown], color=PALETTE["raw"][0], linewidth=0.5)
        shown = [(step, line.scale * value) for step, value in line.curve.means() if step >= since]
    size = 2.5 if len(shown) < 30 else 0
    axes.plot([step for step, _ in shown], [value for _, value in shown], **look, markersize=size)
    return [value for _, value in shown]


def _svg(title: str, unit: str, draw: Callable[[Axes], None]) -> str:
    """A chart whose colours are those of the style sheet; its ids are those of no other chart."""
    inks = ("axes.edgecolor", "axes.labelcolor", "text.color", "xtick.color", "ytick.color")
    looks: dict[Any, Any] = {
        **dict.fromkeys(inks, PALETTE["ink"][0]),
        "font.size": 9,
        "svg.fonttype": "none",
        "svg.hashsalt": "",
    }
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # not a person's own style
        matplotlib.rcParams.update(looks)
        figure = Figure(figsize=SIZE_INCHES, facecolor="none")
        figure.subplots_adjust(left=0.15, right=0.985, bottom=0.18, top=0.97)
        axes = figure.add_subplot(xlabel="step", ylabel=unit, facecolor="none")
        axes.grid(color=PALETTE["grid"][0], linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=(1, 2, 5, 10)))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        if unit == "tokens/s":
            axes.yaxis.set_major_formatter(EngFormatter(sep=""))
        file = StringIO()
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    drawn = re.sub(r' xmlns(:\w+)?="[^"]*"', "", file.getvalue().partition("<svg")[2])
    drawn = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>p{crc32(title.encode(errors='replace')):x}-", drawn)
    for name, (light, _) in PALETTE.items():
        drawn = drawn.replace(light, f"var(--{name})")
    return f'<svg role="img" aria-label="{_text(title)}, {unit}"{drawn}'


def _key(name: str, dash: str, colour: str) -> str:
    line = f'<path d="M0 5h28" stroke="var(--{colour})" stroke-width="2.5" stroke-dasharray="{dash}"/>'
    return f'<span class="key"><svg viewBox="0 0 28 10" aria-hidden="true">{line}</svg> <bdi>{_text(name)}</bdi></span>'


def _tables(summary: Summary) -> Iterator[str]:
    validation, tasks = (summary.last.get(name, {}) for name in ("validation", "tasks"))
    losses = ([cell, _number(x["loss"]), _number(x["bits_per_byte"])] for cell, x in validation.items())
    yield _table("Validation, newest", ("Cell", "nats per token:", "bits per byte:"), losses)
    keys, heads = ("accuracy", "standard_error", "chance"), ("% right:", "± error:", "chance:")
    results = ([task, *(f"{100 * x[key]:.1f}" for key in keys), f"{x['n']:,}"] for task, x in tasks.items())
    yield _table("Tasks, newest, with standard errors", ("task", *heads, "items:"), results)
    yield "<h2>Events</h2>" if summary.events else ""
    for line in summary.events:
        event = line["event"]
        kind, position, reason = (event.get(fact, "") for fact in ("kind", "position", "reason"))
        heading = f"Step {line['step']:,}, {kind} at position {position}: {reason}"
        lines = (event.get("command", ""), *map(_facts, event.get("documents", ())))
        yield f'<p dir="auto">{_text(heading)}</p>'
        yield '<pre dir="auto">' + _text("\n".join(lines)) + "</pre>"
    for line in reversed(summary.samples):
        yield f"<h2>Sample after {line['step']:,} steps</h2>"
        yield f'<pre dir="auto">{_text(line["sample"])}</pre>'


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table under a heading, nothing without rows; columns whose head ends in ":" hold numbers."""
    kinds = [' class="n"' if head.endswith(":") else ' dir="auto"' for head in heads]
    lines = ["".join(f"<th{kind}>{head.removesuffix(':')}</th>" for kind, head in zip(kinds, heads, strict=True))]
    lines += ["".join(f"<td{kind}>{_text(x)}</td>" for kind, x in zip(kinds, row, strict=True)) for row in rows]
    body = "".join(f"<tr>{line}</tr>\n" for line in lines)
    return f'<h2>{title}</h2><div class="wide"><table>{body}</table></div>' if len(lines) > 1 else ""


def _facts(value: object) -> str:
    return ", ".join(f"{name} {x}" for name, x in value.items()) if isinstance(value, dict) else str(value)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _text(text: str) -> str:
    """`text` as HTML, in an element or in quotes."""
    return escape(text[:SHOWN_CHARS]) + ("…" if len(text) > SHOWN_CHARS else "")
