"""The page of the figures: what a command measured stands between its marks, and its chart beside it."""

import re
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/performance.md"
IMAGES = ROOT / "docs/images"


def write(mark: str, lines: Sequence[str]) -> None:
    """Put lines between `<!-- mark -->` and `<!-- end of mark -->`."""
    text = PAGE.read_text(encoding="utf-8")
    before, begin, rest = text.partition(f"<!-- {mark} -->\n")
    _, end, after = rest.partition(f"<!-- end of {mark} -->")
    if not begin or not end:
        raise SystemExit(f"{PAGE} has no place for {mark}")
    PAGE.write_text(f"{before}{begin}" + "".join(f"{line}\n" for line in lines) + f"{end}{after}", encoding="utf-8")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table, its first column text and the others numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return [re.sub(" +", " ", f"| {' | '.join(line)} |") for line in lines]


def bars(name: str, title: str, values: Sequence[tuple[str, float, float]]) -> str:
    """Draw horizontal bars of seconds, two for each label; the line that shows them on the page."""
    figure, axes = _axes(8, 1 + 0.42 * len(values))
    places = range(len(values))
    axes.barh([at - 0.2 for at in places], [first for _, first, _ in values], 0.38, color="#2f6f9f", label="first load")
    again = [second for _, _, second in values]
    axes.barh([at + 0.2 for at in places], again, 0.38, color="#9fc3dd", label="1 % changed")
    axes.set_yticks(list(places), [label for label, _, _ in values])
    axes.invert_yaxis()
    axes.set_xlabel("seconds of CPU, the database's included")
    axes.set_title(title)
    axes.legend(frameon=False)
    return _saved(figure, name, title)


def curve(name: str, title: str, label: str, lines: dict[str, Sequence[tuple[float, float]]], *, log: bool) -> str:
    """Draw seconds against a size, a line each; the line that shows them on the page."""
    figure, axes = _axes(6, 3.2)
    for each, points in lines.items():
        axes.plot([x for x, _ in points], [y for _, y in points], marker="o", label=each)
    if log:
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:,.0f}")
            axis.set_minor_formatter("")
    axes.set_ylim(bottom=1 if log else 0)  # else what differs by chance looks like growth
    axes.set_xlabel(label)
    axes.set_ylabel("seconds of CPU")
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return _saved(figure, name, title)


def _axes(width: float, height: float):  # type: ignore[no-untyped-def]
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "px-import", "font.size": 9})
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(width, height), layout="constrained")


def _saved(figure, name: str, title: str) -> str:  # type: ignore[no-untyped-def]
    figure.savefig(IMAGES / f"{name}.svg", metadata={"Date": None})
    return f"![{title}](images/{name}.svg)"
