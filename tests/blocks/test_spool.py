"""The spool: private, the same for every run, gone afterwards."""

import tempfile
from pathlib import Path

import pytest

from blocks.spool import Spool
from schemas.errors import AccessRefused


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_delivery_has_one_private_folder_until_it_is_removed(place: Path):
    spool = Spool.of("d-1")
    spool.stored(0).write_bytes(b"x")
    assert spool.folder.stat().st_mode & 0o777 == 0o700
    assert Spool.of("d-1").stored(0).read_bytes() == b"x"
    spool.remove()
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("trap", ["an open folder", "a link to another folder"])
def test_a_folder_of_somebody_else_is_refused(place: Path, trap: str):
    elsewhere = place / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    if trap == "an open folder":
        (place / "px-import-d-1").mkdir()
        (place / "px-import-d-1").chmod(0o777)
    else:
        (place / "px-import-d-1").symlink_to(elsewhere)
    with pytest.raises(AccessRefused, match="remove it"):
        Spool.of("d-1")
