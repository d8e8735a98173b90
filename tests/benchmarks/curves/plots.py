"""The plots of the documentation, in colours that are seen on light and dark pages. Runs in the peers' environment."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

Points = Sequence[dict[str, Any]]
_GREY = "#808080"
_COLOURS = ("#3b82c4", "#d97706", "#4d9a5b", "#b45abf", "#c0504d")
_STYLE = {
    "svg.hashsalt": "aspyx_event",  # the same figures make the same file
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": _GREY,
    "axes.labelcolor": _GREY,
    "axes.edgecolor": _GREY,
    "axes.titlesize": 9,
    "xtick.color": _GREY,
    "ytick.color": _GREY,
    "grid.color": _GREY,
    "grid.alpha": 0.25,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": matplotlib.cycler(color=_COLOURS),
    "legend.frameon": False,
}
_BROKERS = {"artemis": "Artemis", "rabbitmq": "RabbitMQ", "none": "LocalProvider"}


def _split(points: Points, key: str) -> dict[Any, Points]:
    return {
        value: [point for point in points if point[key] == value] for value in dict.fromkeys(p[key] for p in points)
    }


def _line(axes: Any, points: Points, across: str, up: str, label: str, **style: Any) -> None:
    axes.plot([point[across] for point in points], [point[up] for point in points], label=label, **style)


def _finish(axes: Any, title: str, across: str, up: str) -> None:
    axes.set(title=title, xlabel=across, ylabel=up if axes.get_subplotspec().is_first_col() else "")
    highest = max(max(line.get_ydata()) for line in axes.lines)
    axes.set_ylim(0, max(1.15 * highest, *axes.get_ylim()))  # those that share the axis may have gone higher
    if len(axes.lines) > 1:
        axes.legend(fontsize=8)


def _ticks(axes: Any, values: Iterable[int]) -> None:
    named = {value: f"{value:,}" for value in values}
    axes.set_xticks(list(named), labels=list(named.values()))
    axes.minorticks_off()


def _listeners(points: Points) -> Figure:
    brokers = _split(points, "broker")
    figure = Figure(figsize=(9, 3), layout="constrained")
    for axes, (broker, of_broker) in zip(
        figure.subplots(1, len(brokers), sharey=True, squeeze=False)[0], brokers.items()
    ):
        for shape, found in _split(of_broker, "shape").items():
            _line(axes, found, "N", "CPU us/event", shape, marker="o")
        axes.set_xscale("log")
        _ticks(axes, [point["N"] for point in of_broker])
        _finish(axes, _BROKERS[broker], "N", "processor time, us an event")
    return figure


def _depth(points: Points) -> Figure:
    figure = Figure(figsize=(9, 3), layout="constrained")
    both = figure.subplots(1, 2, sharey=True)
    for axes, what, done in zip(both, ("send", "receive"), ("sent", "received")):
        for broker, found in _split(points, "broker").items():
            _line(axes, found, "depth", f"{what} CPU us/event", f"the library, {_BROKERS[broker]}", marker="o")
            _line(axes, found, "depth", f"broker CPU us/event {done}", _BROKERS[broker], marker="s", linestyle=":")
        axes.set_xscale("symlog", linthresh=10_000)
        _ticks(axes, [point["depth"] for point in points])
        _finish(axes, what, "events that wait in the queue", "processor time, us an event")
    return figure


def _time(points: Points) -> Figure:
    figure = Figure(figsize=(9, 5), layout="constrained")
    rows = figure.subplots(3, 1, sharex=True)
    drawn = {"events/s": "rate", "CPU us/event": "processor time", "MB": "resident memory"}
    for axes, (name, title) in zip(rows, drawn.items()):
        minutes = [{**point, "minutes": point["s"] / 60} for point in points]
        _line(axes, minutes, "minutes", name, "the process")
        _finish(axes, title, "minutes" if axes is rows[-1] else "", name)
    return figure


def _processes(points: Points) -> Figure:
    figure = Figure(figsize=(9, 3), layout="constrained")
    rate, busy = figure.subplots(1, 2)
    for broker, found in _split(points, "broker").items():
        _line(rate, found, "consumers", "events/s", _BROKERS[broker], marker="o")
        _line(busy, found, "consumers", "of these, ours", f"consumers of {_BROKERS[broker]}", marker="o")
        _line(busy, found, "consumers", "of these, the broker's", _BROKERS[broker], marker="s", linestyle=":")
    for axes in (rate, busy):
        _ticks(axes, [point["consumers"] for point in points])
    _finish(rate, "events a second, of all", "consumer processes", "")
    _finish(busy, "processors taken, of two", "consumer processes", "")
    return figure


DRAWN: dict[str, Callable[[Points], Figure]] = {
    "listeners": _listeners,
    "depth": _depth,
    "time": _time,
    "processes": _processes,
}


def main(measured: Path, images: Path) -> int:
    """Write what there are measurements of; tell which."""
    with matplotlib.rc_context(_STYLE):
        for name in _kept(measured):
            points = json.loads((measured / f"curve_{name}.json").read_text(encoding="utf-8"))["points"]
            file = images / f"curve-{name}.svg"
            DRAWN[name](points).savefig(file, transparent=True, metadata={"Date": None})
            lines = file.read_text(encoding="utf-8").splitlines()
            file.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8")
            sys.stdout.write(f"{file} is written\n")
    return 0


def _kept(measured: Path) -> Iterable[str]:
    return (name for name in DRAWN if (measured / f"curve_{name}.json").exists())


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
