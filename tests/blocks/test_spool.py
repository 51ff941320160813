"""The spool: private, the same for every run, gone afterwards."""

import os
import tempfile
import time
from pathlib import Path

import pytest

from blocks.spool import Spool, old_spools, remove_spools, spooled_copies
from schemas.errors import AccessRefused

D1, D2 = "8e2bff1c-f9bc-5867-9348-36830d004a04", "83ab3091-5d32-50e2-be3d-fbba3ff61c91"
D3 = "0b6f2f0e-5a0b-5d39-9a53-2f6a0c1d7e11"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_each_run_has_a_private_folder_until_the_delivery_is_finished(place: Path):
    first, second = Spool.of(D1, 1), Spool.of(D1, 2)
    first.stored(0).write_bytes(b"x")
    assert first.folder.stat().st_mode & 0o777 == 0o700
    assert Spool.of(D1, 1) == first != second
    assert list(spooled_copies(D1, 0)) == [first.stored(0)]
    assert list(spooled_copies(D1, 1)) == list(spooled_copies(D2, 0)) == []
    remove_spools(D1)
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("trap", ["an open folder", "a link to another folder", "a link to nothing", "a file"])
def test_what_somebody_else_has_made_is_refused_and_left_alone(place: Path, trap: str):
    elsewhere, name = place / "elsewhere", place / f"px-import-{D1}-1"
    elsewhere.mkdir(mode=0o700)
    if trap == "an open folder":
        name.mkdir()
        name.chmod(0o777)
    elif trap == "a file":
        name.touch()
    else:
        name.symlink_to(elsewhere if trap == "a link to another folder" else place / "nothing")
    with pytest.raises(AccessRefused, match="remove it"):
        Spool.of(D1, 1)
    remove_spools(D1)
    assert {path.name for path in place.iterdir()} == {"elsewhere", name.name}


def test_a_spool_is_old_when_nothing_in_it_is_new(place: Path):
    week_ago = time.time() - 8 * 24 * 3600
    old, recent, touched = Spool.of(D1, 1), Spool.of(D2, 1), Spool.of(D3, 1)
    stranger = place / "px-import-of-somebody"
    stranger.mkdir(mode=0o700)
    for spool in (old, touched):
        spool.stored(0).touch()
    for path in (old.stored(0), old.folder, touched.folder, stranger):
        os.utime(path, (week_ago, week_ago))
    assert old_spools() == {D1}
    assert recent.folder.exists()
