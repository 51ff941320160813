"""What the status files and the callback of a delivery must say, from what was delivered alone."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from deployments.chaos.scenarios import DAY, ENTITIES, Ending, Files, InputFile, Record
from schemas.catalogue import default_catalogue


def verdict(files: Files) -> str:
    """First line of the status file (rule P3)."""
    return "ERROR" if any(file.blemish for file in files.values()) else "SUCCESS"


def message(files: Files) -> str:
    """The other lines (rule P3)."""
    lines = [f"{name}: {file.message}" if len(files) > 1 else file.message for name, file in sorted(files.items())]
    return "\n".join(lines)


def status_text(files: Files) -> bytes:
    """The `status.txt` of a delivery (rule P3)."""
    return f"{verdict(files)}\n{message(files)}\n".encode()


def status_json(feed: str, earlier: Sequence[Files], files: Files) -> dict[str, Any]:
    """The `status.json` of a delivery, but for its id and its times (rule P4).

    Args:
        feed: whose.
        earlier: deliveries that were imported before it.
        files: the delivery.
    """
    told: list[dict[str, Any]] = []
    before: dict[str, InputFile] = {}
    for name, file in sorted(files.items()):
        seen = Ending((*earlier, before)).records
        told.append(_file(name, file, seen))
        before[name] = file
    return {
        "version": 1,
        "verdict": verdict(files),
        "feed": feed,
        "entity": ENTITIES[feed].value,
        "folder": f"dt={DAY}",
        "catalogue_hash": default_catalogue(ENTITIES[feed]).hash,
        "files": told,
    }


def _file(name: str, file: InputFile, seen: Mapping[str, Record]) -> dict[str, Any]:
    known = [(row, seen[str(row["id"])]) for row in file.loaded if row["id"] in seen]
    updated = sum({**old, **row} != old for row, old in known)
    blemish = file.blemish
    return {
        "name": name,
        "size_bytes": len(file.body),
        "sha256": "" if file.removed else hashlib.sha256(file.body).hexdigest(),
        "rows": 0 if file.removed else len(file.rows),
        "created": len(file.loaded) - len(known),
        "updated": updated,
        "unchanged": len(known) - updated,
        "repeated": 0,
        "faults": [
            {
                "code": blemish.code,
                "column": blemish.column,
                "rows": int(blemish.row > 0),
                "message": blemish.sentence,
            }
        ]
        if blemish
        else [],
    }


def errors_csv(files: Files) -> bytes | None:
    """The `errors.csv` of a delivery (rule F4); None where there is none."""
    lines = [
        f"{name},{found.line or ''},{found.row or ''},{found.column},{found.code},{found.message}"
        for name, file in sorted(files.items())
        if (found := file.blemish)
    ]
    return "".join(f"{line}\r\n" for line in ["file,line,row,column,code,message", *lines]).encode() if lines else None


def callback(folder: str, files: Files) -> dict[str, Any]:
    """Body of the callback of a delivery that is archived in a folder (rule N1)."""
    return {"folder_path": folder, "success": verdict(files) == "SUCCESS", "message": message(files)}
