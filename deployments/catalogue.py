"""`px-import catalogue`: attribute catalogues, checked and shown without any server."""

import json
import sys
from pathlib import Path

from schemas.catalogue import (
    AttributeType,
    Catalogue,
    CatalogueFault,
    Entity,
    Examination,
    State,
    default_catalogue_json,
    examine,
)
from schemas.errors import SettingsError


def check_catalogue(path: Path) -> int:
    """Print what a catalogue holds, or everything that is wrong with it.

    Returns:
        0 it can be used, 1 it cannot.

    Raises:
        SettingsError: the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise SettingsError(str(path), f"the file cannot be read ({exc.strerror})") from None
    faults: tuple[CatalogueFault, ...]
    try:
        entries = json.loads(content)
        examination = examine(entries)
        faults = examination.faults
    except (ValueError, RecursionError) as exc:
        faults = (CatalogueFault("", f"this is not valid JSON ({exc})"),)
    if faults:
        print("ERROR", *faults, sep="\n")
        return 1
    print("SUCCESS", *_table(examination), f"hash {Catalogue.parse(entries).hash}", sep="\n")
    return 0


def _table(examination: Examination) -> list[str]:
    """Counts by type and state."""
    head = "".join(f"{state:>10}" for state in State)
    rows = {kind: "".join(f"{examination.counts[kind, state]:10}" for state in State) for kind in AttributeType}
    return [f"{'':10}{head}", *(f"{kind:10}{counts}" for kind, counts in rows.items())]


def show_default(entity: Entity) -> int:
    """Print PX's default attributes as a catalogue, to begin one's own with."""
    sys.stdout.write(default_catalogue_json(entity))
    return 0
