"""The plots as functions: which traces a figure has, what it says, and that nobody's text becomes markup."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.plots import details, report, style, trade_off
from sdlm_core import __main__ as cli
from tests.app.sweep_data import make_log, make_sweep

SWEEP = make_sweep()
PUBLISHED: dict[str, Any] = json.loads(report.PUBLISHED.read_text(encoding="utf-8"))
HOSTILE = "<img src=x onerror=alert(1)></script><b>bold</b> %{x}"


def names(fig: Any) -> list[str]:
    return [trace.name for trace in fig.data]


def test_a_curve_for_each_rule_and_d() -> None:
    fig = trade_off.trade_off(SWEEP)
    assert len(fig.data) == 2 * 3 + 1 + 1 + 1  # two rules at three D, self-speculative, autoregressive, the marker
    bold = next(trace for trace in fig.data if trace.name == "probability, D 8")
    assert len(bold.x) == 7
    assert list(bold.x) == sorted(bold.x, reverse=True)  # by rising τ
    assert "τ 0.5" in bold.customdata[0][0]
    assert bold.customdata[0][3:] == [160, 160]
    assert fig.layout.legend.title.text == "Curves: made-up"
    assert bold.error_y.array[0] == pytest.approx(5)  # per cent


def test_each_measure_has_its_own_n() -> None:
    clock = trade_off.trade_off(SWEEP, speed="wall_clock").data[0]
    assert clock.customdata[0][3:] == [4, 160], "four answers were timed, and all were graded"
    assert "n = %{customdata[3]})<br>quality" in clock.hovertemplate
    own = [{"wall_clock": 2.0, "tokens_per_pass": 2.5, "accuracy": 1.0, "label": "", "prompt": "", "n": 6, "timed": 5}]
    shown = [trade_off.trade_off(SWEEP, speed=s, own=own).data[-2].customdata[0][2] for s in trade_off.SPEEDS]
    assert shown == [6, 5]


def test_the_marker_stands_on_the_curve_and_between_its_points() -> None:
    at = {tau: trade_off.trade_off(SWEEP, tau=tau).data[-1] for tau in (0.9, 0.85, 0.8, 0.2)}
    measured = {p.threshold: p for p in trade_off.points(SWEEP, "problems", "tokens_per_pass", "accuracy")
                if (p.algorithm, p.block_size) == ("prob_conf", 8)}  # fmt: skip
    assert (at[0.9].x[0], at[0.9].y[0]) == pytest.approx((measured[0.9].x[0], measured[0.9].y[0]))
    assert at[0.85].x[0] == pytest.approx((at[0.9].x[0] + at[0.8].x[0]) / 2)
    assert at[0.2].x[0] == measured[0.5].x[0]
    meta = trade_off.trade_off(SWEEP).layout.meta
    assert meta["marker"] == 8
    assert meta["curve"][-1] == [1.0, measured[1.0].x[0], measured[1.0].y[0]]


@pytest.mark.parametrize("speed", list(trade_off.SPEEDS))
@pytest.mark.parametrize("quality", list(trade_off.QUALITIES))
def test_every_pair_of_axes_draws(speed: str, quality: str) -> None:
    for task in ("problems", "chat"):
        fig = trade_off.trade_off(SWEEP, task, speed, quality)
        assert fig.layout.xaxis.title.text == trade_off.SPEEDS[speed]
        json.loads(fig.to_json())
    assert trade_off.trade_off(SWEEP, "nothing", speed, quality).layout.annotations[0].text


def test_published_points_carry_their_source_and_their_numbers() -> None:
    fig = trade_off.trade_off(SWEEP, published=PUBLISHED, families=["SDLM-3B", "SDLM-32B", "AR baselines"])
    line = next(trace for trace in fig.data if trace.name == "SDLM-3B, D 8, GSM8K (published)")
    assert (list(line.x), list(line.y)) == ([1, 2.52, 3.87], [83.8, 83.3, 82.4])
    assert "2509.24007" in line.hovertemplate
    large = next(trace for trace in fig.data if trace.name == "SDLM-32B, D 4, GSM8K (published)")
    assert (list(large.x), list(large.y)) == ([2.15, 2.71], [92.4, 92.3])
    assert any("(AR)" in name for name in names(fig))
    clock = trade_off.trade_off(SWEEP, speed="wall_clock", published=PUBLISHED, families=["SDLM-3B"])
    assert not any("published" in name for name in names(clock))  # the paper gives no such figure


def test_a_visitors_points_are_theirs_and_harmless() -> None:
    own = [{"tokens_per_pass": 2.5, "accuracy": 1.0, "agreement": 0.5, "label": HOSTILE, "prompt": HOSTILE, "n": 1}]
    fig = trade_off.trade_off(SWEEP, own=own)
    mine = next(trace for trace in fig.data if trace.name == "your runs")
    assert (mine.x[0], mine.y[0]) == (2.5, 100)
    assert "<" not in "".join(mine.customdata[0][:2])
    assert "%{x}" not in mine.customdata[0][0]
    assert "your runs" not in names(trade_off.trade_off(SWEEP, speed="wall_clock", own=own))
    assert "&lt;img" in style.nothing(HOSTILE).layout.annotations[0].text


def test_reliability_leaves_out_the_first_position() -> None:
    rows = [r for r in SWEEP["calibration"] if (r["set"], r["block_size"], r["algorithm"]) == ("chat", 4, "prob_conf")]
    fig = details.reliability(rows)
    assert names(fig) == ["as sure as right", *(f"position {i} (error {0.02 * i:.2f})" for i in (2, 3, 4))]
    assert fig.data[1].y[0] == rows[1]["right"][0] / rows[1]["count"][0]
    assert details.reliability([]).layout.annotations[0].text


def contrast(one: str, other: str) -> float:
    """The ratio of two colours' luminances, as WCAG 2 has it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colour", [*style.SCALE, *style.D_COLOURS.values(), style.GREY, style.ACCENT])
def test_every_colour_stands_out_on_light_and_on_dark_pages(colour: str) -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    for page in ("#ffffff", "#0b0f19", "#14161a"):
        assert contrast(colour, page) >= 3, page


def test_a_position_is_told_without_its_colour() -> None:
    rows = [r for r in SWEEP["calibration"] if (r["set"], r["block_size"], r["algorithm"]) == ("chat", 8, "prob_conf")]
    symbols = [line.marker.symbol for line in details.reliability(rows).data[1:]]
    assert len(set(symbols)) == len(symbols) == 7
    dashes = [line.line.dash for line in details.training_loss(make_log()).data]
    assert len(dashes) == 8
    assert all(len(set(dashes[i : i + 4])) == 4 for i in range(5)), "unlike their neighbours"


def test_accepted_lengths_and_the_way_along_an_answer() -> None:
    bars = details.accepted_lengths([5, 3, 2]).data[0]
    assert (list(bars.x), list(bars.y)) == ([1, 2, 3], [0.5, 0.3, 0.2])
    assert details.accepted_lengths([0, 0]).layout.annotations[0].text
    passes, mean = details.along_the_answer([1, 3, 2], 4).data
    assert (list(passes.x), list(passes.width), list(passes.y)) == ([0.5, 2.5, 5], [1, 3, 2], [1, 3, 2])
    assert list(mean.y) == [1, 2, 2]
    assert details.along_the_answer([], 4).layout.annotations[0].text


def test_training_curves_beside_the_published_ends() -> None:
    fig = details.training_loss(make_log(), PUBLISHED)
    assert names(fig)[:8] == [f"position {i}" for i in range(1, 9)]
    ends = fig.data[8:]
    assert [list(e.y) for e in ends] == [[0.51, 1.0, 1.41, 1.78], [0.53, 1.05, 1.46, 1.79]]
    assert details._smooth([2, 4, 6, 8], 2) == [2, 3, 5, 7]
    assert details.training_loss([]).layout.annotations[0].text


def test_the_report_is_one_file_and_escapes_names() -> None:
    page = report.render(make_sweep(HOSTILE))
    assert "<img src=x" not in page
    assert "<b>bold" not in page.split("</script></head>")[1]
    assert 'src="http' not in page
    assert "| rule" not in page
    assert page.count("Plotly.newPlot(") >= 4


def test_the_report_is_drawn_from_a_sweeps_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sweep.json"
    path.write_text(json.dumps(make_sweep("<b>own") | {"complete": False}), encoding="utf-8")
    assert cli.main(["report", str(path)]) == 0
    begin, _, rest = (tmp_path / "sweep.html").read_text(encoding="utf-8").partition("<script>")
    page = begin + rest.rpartition("</head>")[2]  # without plotly.js, which has every word in it somewhere
    assert "&lt;b&gt;own" in page
    assert "<b>" not in page
    assert not [word for word in ("src=", "href=", "url(", "@import") if word in page], "it opens without a network"
    assert "This sweep is not complete." in page
    empty = make_sweep() | {"cells": [], "calibration": [], "wall_clock": []}
    path.write_text(json.dumps(empty), encoding="utf-8")
    assert cli.main(["report", str(path), str(tmp_path / "other.html")]) == 0, "a sweep that was stopped at once"
    assert "All settings" in (tmp_path / "other.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", [None, "", "[]", '{"format": "sdlm-trace"}'])
def test_a_file_that_is_no_sweep_is_a_sentence(
    text: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sweep.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    assert cli.main(["report", str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"Error: {path} ")
    assert not (tmp_path / "sweep.html").exists()
