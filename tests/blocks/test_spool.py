"""The spool: private, the same for every run, gone afterwards."""

import tempfile
from pathlib import Path

import pytest

from blocks.spool import Spool, remove_spools, spooled_copies
from schemas.errors import AccessRefused


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_each_run_has_a_private_folder_until_the_delivery_is_finished(place: Path):
    first, second = Spool.of("d-1", 1), Spool.of("d-1", 2)
    first.stored(0).write_bytes(b"x")
    assert first.folder.stat().st_mode & 0o777 == 0o700
    assert Spool.of("d-1", 1) == first != second
    assert list(spooled_copies("d-1", 0)) == [first.stored(0)]
    assert list(spooled_copies("d-1", 1)) == list(spooled_copies("d-2", 0)) == []
    remove_spools("d-1")
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("trap", ["an open folder", "a link to another folder", "a link to nothing", "a file"])
def test_what_somebody_else_has_made_is_refused_and_left_alone(place: Path, trap: str):
    elsewhere, name = place / "elsewhere", place / "px-import-d-1-1"
    elsewhere.mkdir(mode=0o700)
    if trap == "an open folder":
        name.mkdir()
        name.chmod(0o777)
    elif trap == "a file":
        name.touch()
    else:
        name.symlink_to(elsewhere if trap == "a link to another folder" else place / "nothing")
    with pytest.raises(AccessRefused, match="remove it"):
        Spool.of("d-1", 1)
    remove_spools("d-1")
    assert {path.name for path in place.iterdir()} == {"elsewhere", name.name}
