"""Text in Prefect's Markdown pages."""

from collections.abc import Iterable, Iterator, Sequence


def plain(text: str) -> str:
    """Names from the bucket as text, whatever Markdown or HTML they hold."""
    one_line = "".join(c if c.isprintable() else "·" for c in text)
    escaped = "".join(f"\\{c}" if c in "\\`*_{}[]()#+!|~" else c for c in one_line)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table; a head that ends in a colon stands over a column of numbers."""
    yield f"| {' | '.join(head.rstrip(':') for head in heads)} |"
    yield f"|{'|'.join('---:' if head.endswith(':') else '---' for head in heads)}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"
