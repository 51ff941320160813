"""`px-import check`: what the importer would say of a file, without any server."""

import hashlib
import json
import tempfile
from pathlib import Path

from blocks.feed_settings import BLOCK_REFERENCE, SettingsFile, read_settings_file
from schemas.catalogue import Catalogue
from schemas.drop_zone import INPUT_SUFFIX
from schemas.errors import SettingsError
from schemas.outcome import STATUS_VERSION, FileOutcome, LoadCounts, file_json, message_of
from schemas.validation import Rejection, unsupported, validate


def check(files: list[Path], settings_file: Path, *, as_json: bool) -> int:
    """Validate files and print what `status.txt` would hold.

    Returns:
        0 all are accepted, 1 any is rejected.

    Raises:
        SettingsError: the settings or a file cannot be read.
    """
    settings = read_settings_file(settings_file, lenient=True)
    catalogue = _catalogue(settings, settings_file.parent)
    with tempfile.TemporaryDirectory(prefix="px-import-check-") as folder:
        outcomes = [_outcome(path, settings, catalogue, Path(folder) / "typed.arrow") for path in files]
    accepted = not any(outcome.issues for outcome in outcomes)
    verdict = "SUCCESS" if accepted else "ERROR"
    if as_json:
        document = {"version": STATUS_VERSION, "verdict": verdict, "files": [file_json(o) for o in outcomes]}
        print(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        print(f"{verdict}\n{message_of(outcomes)}")
    return int(not accepted)


def _catalogue(settings: SettingsFile, folder: Path) -> Catalogue:
    if settings.catalogue.startswith(BLOCK_REFERENCE):
        from blocks.import_settings import load_catalogue  # asks Prefect's server; only then

        return load_catalogue(settings.catalogue, settings.entity)
    return settings.file_catalogue(folder)


def _outcome(path: Path, settings: SettingsFile, catalogue: Catalogue, spool: Path) -> FileOutcome:
    try:
        with path.open("rb") as source:
            sha256 = hashlib.file_digest(source, "sha256").hexdigest()
            source.seek(0)
            if path.name.endswith(INPUT_SUFFIX):
                verdict = validate(source, catalogue, settings, spool=spool)
            else:
                verdict = unsupported(path.name)
    except OSError as exc:
        raise SettingsError(str(path), f"the file cannot be read ({exc.strerror})") from None
    size_bytes = path.stat().st_size
    if isinstance(verdict, Rejection):
        return FileOutcome(path.name, size_bytes, sha256, verdict.rows, None, verdict.issues)
    return FileOutcome(path.name, size_bytes, sha256, verdict.rows, LoadCounts(repeated=verdict.repeated), ())
