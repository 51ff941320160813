"""The pages of the docs, as a reader's program sees them: blocks of code, headings, links and tables."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
_MARKDOWN = MarkdownIt("commonmark").enable("table")
#: The first word of a line that is meant for a shell, where the block does not say so itself.
_PROGRAMS = (
    r"(\$ )?(export |for |cd |\.venv/|px-import |prefect |make( |$)|git |pip |python |aws |psql |sqlite3 |docker |"
    r"kubectl |systemctl |sudo |curl |cp |mkdir |cat )"
)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code.

    Attributes:
        page: its path in the project.
        line: where it begins.
        language: what stands behind the fence; `sh` for any block that a shell is to read.
        text: what it holds.
    """

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: str) -> Iterator[Block]:
    for token in _tokens(page):
        if token.type in {"fence", "code_block"}:
            assert token.map
            language = "sh" if token.info in {"bash", "shell", "console"} else token.info
            if not language and re.match(_PROGRAMS, token.content):
                language = "sh"
            yield Block(page, token.map[0] + 1, language, token.content)


def links(page: str) -> list[str]:
    """Where its links and pictures lead to."""
    inline = [child for token in _tokens(page) for child in token.children or []]
    return [str(child.attrs[name]) for child in inline for name in ("href", "src") if name in child.attrs]


def anchors(page: str) -> set[str]:
    """What may stand behind a `#`, as the usual hosts make it of the headings."""
    tokens = _tokens(page)
    headings = [tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def rows(page: str) -> list[list[list[str]]]:
    """The rows of all tables: of each cell, the pieces that are set as code."""
    found: list[list[list[str]]] = []
    in_row = False
    for token in _tokens(page):
        if token.type == "tr_open":
            found.append([])
        in_row = token.type in {"th_open", "td_open"} or (in_row and token.type == "inline")
        if in_row and token.type == "inline":
            found[-1].append([child.content for child in token.children or [] if child.type == "code_inline"])
    return found


def _tokens(page: str) -> list[Token]:
    return _MARKDOWN.parse((ROOT / page).read_text(encoding="utf-8"))
