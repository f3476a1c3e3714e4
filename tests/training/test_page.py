"""The page of a run: bounded, self-contained, harmless whatever the names and texts, and legible."""

import math
import shutil
import subprocess
from pathlib import Path

import lxml.html
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.curves import MAX_STRETCHES, N_MEANS, Curve, Summary
from training.page import PALETTE, PAPER, POLICY, render

HOSTILE = (
    "<script>document.title='owned'</script>",
    "</figcaption></svg></style><img src=https://evil.example/x onerror=alert(1)>",
    '" onload="alert(1)',
    "$\\frac{1}{2}$ _hidden \u202eright to left\u202c \x00\x1b[31m \ud800",
    "url(https://evil.example/y) @import 'https://evil.example/z'",
)
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""


def summary(names: tuple[str, ...] = ("code", "web"), n_steps: int = 200) -> Summary:
    made = Summary()
    for step in range(1, n_steps + 1):
        values = {"loss": 2 + 9 / step, "lr": 1e-3 / step, "gradient_norm": 1 + 1 / step, "tokens_per_s": 5e5}
        made.add({"step": step, **values, "mfu": 0.4, "waiting_share": 0.01, "resident_bytes": 2**30})
        if step % 40 == 0:
            cells = {name: {"loss": 2 + k + 9 / step, "bits_per_byte": None} for k, name in enumerate(names)}
            made.add({"step": step, "validation": cells, "unigram": 6.5})
            result = {"accuracy": 0.3, "standard_error": 0.01, "chance": 0.25, "n": 1000}
            made.add({"step": step, "tasks": dict.fromkeys(names, result)})
    event = {
        "kind": names[0],
        "position": 9,
        "reason": names[0],
        "documents": [{"cell": name} for name in names],
        "command": names[0],
    }
    made.add({"step": n_steps, "event": event})
    for name in names:
        made.add({"step": n_steps, "sample": name})
    return made


def written(path: Path, page: str) -> Path:
    path.write_text(page, encoding="utf-8", errors="replace")
    return path


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=5 * MAX_STRETCHES))
def test_a_thinned_curve_keeps_extremes_and_invents_nothing(values: list[float]) -> None:
    curve = Curve()
    for step, value in enumerate(values):
        curve.add(step, value)
    points = curve.points()
    assert len(points) <= 2 * MAX_STRETCHES and len(curve.means()) <= N_MEANS
    assert {min(values), max(values)} <= {value for _, value in points}
    assert points == sorted(points) and all(values[int(step)] == value for step, value in points)
    whole, rest = divmod(len(values), curve.width)
    total = curve.width * sum(s.mean[1] for s in curve.stretches()[:whole])
    assert math.isclose(total + rest * (curve.stretches()[-1].mean[1] if rest else 0), sum(values), abs_tol=1e-3)


def test_a_million_steps_are_two_thousand_points_and_a_lone_spike_is_one_of_them() -> None:
    values = np.random.default_rng(0).normal(3, 0.1, 1_000_000)
    values[777_777], values[123_456] = 11.0, -1.0
    curve = Curve()
    for step, value in enumerate(values.tolist()):
        curve.add(step, value)
    points = curve.points()
    assert MAX_STRETCHES <= len(points) <= 2 * MAX_STRETCHES
    assert (777_777, 11.0) in points and (123_456, -1.0) in points
    for step, mean in curve.means():
        assert abs(mean - 3) < 0.01 and 0 < step < 1_000_000


def test_means_are_of_consecutive_steps() -> None:
    curve = Curve()
    for step in range(1, 401):
        curve.add(step, 2.0 * step)
    assert curve.means()[:2] == [(2.5, 5.0), (6.5, 13.0)]


def test_hostile_names_and_texts_are_shown_and_do_nothing(tmp_path: Path) -> None:
    raw = render(summary(HOSTILE), HOSTILE[0], HOSTILE)
    page = lxml.html.parse(written(tmp_path / "report.html", raw)).getroot()
    tags = {node.tag for node in page.iter() if isinstance(node.tag, str)}
    assert not tags & {"script", "img", "iframe", "object", "link", "base", "form", "a"}
    attributes = [(name, value) for node in page.iter() for name, value in node.items()]
    assert not [name for name, _ in attributes if name.startswith("on") or name == "src"]
    assert all(value.startswith("#") for name, value in attributes if name.endswith("href"))
    assert "://" not in "".join(style.text for style in page.iter("style"))
    samples = [node.text_content() for node in page.iter("pre")]
    for text in HOSTILE[:3]:
        assert text in samples
        assert page.text_content().count(text) >= 6  # legends, headings, tables, event, sample
    charts = [node for node in page.iter("svg") if node.get("role") == "img"]
    assert len(charts) == 8 + len(HOSTILE)  # each with a label for screen readers
    assert all(node.get("aria-label") for node in charts)


def test_the_page_is_self_contained_and_its_ids_are_unique() -> None:
    raw = render(summary(), "step 200/200", ["Model: 1 parameter"])
    assert f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">' in raw
    assert "default-src 'none'" in POLICY and "script" not in POLICY and "://" not in raw
    assert not [light for light, _ in PALETTE.values() if light in raw.partition("</style>")[2]]
    page = lxml.html.fromstring(raw)
    ids = [node.get("id") for node in page.iter() if node.get("id")]
    assert len(ids) == len(set(ids)) > 100
    used = {value.partition("#")[2].rstrip(")") for node in page.iter() for name, value in node.items() if "#" in value}
    assert {name for name in used if name.startswith("p")} <= set(ids)


def test_an_early_page_and_one_of_many_cells_are_drawn() -> None:
    assert "Samples" not in render(Summary(), "step 0/9", [])
    names = tuple(f"cell {k}" for k in range(40))
    text = lxml.html.fromstring(render(summary(names), "", [])).text_content()
    assert "26 more Cells are in the table" in text and text.count("cell 39") >= 2


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")
def test_a_browser_reports_nothing(tmp_path: Path) -> None:
    raw = render(summary(HOSTILE), HOSTILE[0], HOSTILE)
    for page, n_reported in ((raw, 0), (raw.replace("</body>", "<img src='https://x.invalid'></body>"), 1)):
        path = written(tmp_path / "report.html", page)
        options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}")
        command = [CHROMIUM, *options, "--enable-logging=stderr", "--dump-dom", path.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        assert done.stderr.count(":CONSOLE") == n_reported, done.stderr
        assert "<title>Training: &lt;script&gt;" in done.stdout and "owned</title>" not in done.stdout


def linear(colour: str) -> NDArray[np.float64]:
    value = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(colour: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIE 1976 L*a*b* of linear sRGB under D65."""
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    xyz = np.array(to_xyz) @ np.clip(colour, 0, 1) / [0.95047, 1, 1.08883]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


VISION = {  # Machado, Oliveira & Fernandes 2009, table 1, severity 1.0
    "trichromat": np.eye(3),
    "protanope": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranope": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanope": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


@pytest.mark.parametrize("ground", [0, 1])
@pytest.mark.parametrize("vision", VISION)
def test_lines_can_be_told_apart(ground: int, vision: str) -> None:
    """A distance of 20 in L*a*b* is far above 2.3, the one just noticed (Mahy et al. 1994)."""
    seen = [
        np.array(VISION[vision]) @ linear(pair[ground]) for name, pair in PALETTE.items() if name not in ("grid", "raw")
    ]
    for k, one in enumerate(seen):
        assert all(np.linalg.norm(lab(one) - lab(other)) > 20 for other in seen[:k])
    paper = linear(PAPER[ground])
    for colour in (linear(pair[ground]) for name, pair in PALETTE.items() if name not in ("grid", "raw")):
        low, high = sorted(float(c @ [0.2126, 0.7152, 0.0722]) for c in (colour, paper))
        assert (high + 0.05) / (low + 0.05) >= 3
