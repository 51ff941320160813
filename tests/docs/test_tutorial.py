"""docs/tutorial.md, typed as it stands there."""

import sqlite3
from contextlib import closing

import httpx
import pytest

from tests.docs.conftest import Tutorial, is_shown

pytestmark = pytest.mark.e2e


def test_the_commands_print_what_is_shown(tutorial: Tutorial) -> None:
    assert tutorial.shown
    for shown, printed in tutorial.shown:
        missing = [line for line in shown.splitlines() if not is_shown(line, printed)]
        assert not missing, f"docs/tutorial.md shows what is not printed:\n{printed}"


def test_the_good_file_is_imported_and_the_faulty_one_is_not(tutorial: Tutorial) -> None:
    with closing(sqlite3.connect(tutorial.terminal.folder / "tutorial/px.db")) as store:
        assert store.execute("SELECT id, score FROM users ORDER BY id").fetchall() == [("007", 12.5), ("008", None)]
        verdicts = store.execute("SELECT day, verdict FROM import_deliveries ORDER BY day").fetchall()
    assert verdicts == [("20260302", "SUCCESS"), ("20260303", "ERROR")]


def test_prefect_shows_what_the_page_says_one_sees(tutorial: Tutorial) -> None:
    with httpx.Client(base_url=tutorial.terminal.environment["PREFECT_API_URL"]) as api:
        runs = {run["state_name"]: run for run in api.post("/flow_runs/filter", json={}).json()}
        artifacts = {each["key"] for each in api.post("/artifacts/filter", json={}).json()}
        [deployment] = api.post("/deployments/filter", json={}).json()
    assert runs["Imported"]["state"]["message"] == "1 folder, 2 records"
    assert {"Rejected", "Scheduled"} <= set(runs)
    assert "feed-users" in artifacts
    assert deployment["schedules"][0]["active"]
