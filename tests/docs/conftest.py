"""The tutorial, played once; its servers stay for whatever else the pages want to have run."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.docs.pages import blocks
from tests.docs.shell import Terminal
from tests.receiver import unused_port

PAGE = "docs/tutorial.md"
#: Lines of the tutorial that are not typed here, and why.
NOT_TYPED = {
    "make install": "the tests run in what it makes",
    "rm -r tutorial": "typed when all has ended",
}


@dataclass
class Tutorial:
    """What was typed, and for each shown piece of output what the commands before it really printed."""

    terminal: Terminal
    shown: list[tuple[str, str]] = field(default_factory=list)


@pytest.fixture(scope="session")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tutorial]:
    folder = tmp_path_factory.mktemp("tutorial")
    with Terminal(folder, unused_port()) as terminal:
        played, printed = Tutorial(terminal), ""
        for block in blocks(PAGE):
            if block.language == "text":
                played.shown.append((block.text, printed))
                printed = ""
            else:
                typed = [line for line in block.text.splitlines() if line not in NOT_TYPED]
                printed += terminal.type("\n".join(typed))
        yield played
    terminal.type("rm -r tutorial")


def is_shown(line: str, printed: str) -> bool:
    """Whether a line of a page, `…` standing for anything, was printed."""
    pattern = ".*".join(re.escape(part) for part in line.rstrip().split("…"))
    return re.search(f"^{pattern}$", printed, re.MULTILINE) is not None
