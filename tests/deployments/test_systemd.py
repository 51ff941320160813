"""The units of deployments/systemd: systemd reads them without complaint and finds them well shut off."""

import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from prefect.settings.models.server.services import ServerServicesDBVacuumSettings

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "deployments" / "systemd").glob("*.service"))
SERVER, WORKER = UNITS
#: Of 100, which is a service that may do anything.
MOST_EXPOSED = "20"


@pytest.fixture(scope="module")
def analyze() -> str:
    """systemd's own judge: always there in CI; elsewhere, a machine without it is told so."""
    found = shutil.which("systemd-analyze")
    if not found and not os.environ.get("CI"):
        pytest.skip("systemd-analyze is not on this machine; Debian has it in the package systemd")
    assert found, "CI needs systemd-analyze: apt-get install systemd"
    return found


def judged(analyze: str, unit: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What it says of a unit whose programs are those of this environment."""
    copy = folder / unit.name
    copy.write_text(unit.read_text().replace("/opt/px-import/.venv/bin", str(Path(sys.executable).parent)))
    return subprocess.run([analyze, *options, str(copy)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_has_nothing_to_complain_of(analyze: str, unit: Path, tmp_path: Path) -> None:
    said = judged(analyze, unit, tmp_path, "verify", "--man=no")
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_service_is_shut_off(analyze: str, unit: Path, tmp_path: Path) -> None:
    said = judged(analyze, unit, tmp_path, "security", "--offline=true", f"--threshold={MOST_EXPOSED}")
    assert said.returncode == 0, said.stdout


def test_a_word_that_systemd_does_not_know_is_found(analyze: str, tmp_path: Path) -> None:
    misspelt = tmp_path / "misspelt" / SERVER.name
    misspelt.parent.mkdir()
    misspelt.write_text(SERVER.read_text().replace("ProtectHome=", "ProtectHouse="))
    said = judged(analyze, misspelt, tmp_path, "verify", "--man=no")
    assert "ProtectHouse" in said.stderr


def values(unit: Path, name: str) -> list[str]:
    return [line.partition("=")[2] for line in unit.read_text().splitlines() if line.startswith(f"{name}=")]


def test_no_secret_stands_in_a_unit_and_the_worker_gets_none_of_the_servers() -> None:
    for unit in UNITS:
        variables = {value.partition("=")[0] for value in values(unit, "Environment")}
        assert not {name for name in variables if "AUTH" in name or "KEY" in name or "DATABASE" in name}
    assert values(SERVER, "EnvironmentFile") == ["/etc/px-import/server.env"]
    assert values(WORKER, "EnvironmentFile") == ["/etc/px-import/worker.env"]
    assert values(SERVER, "User") != values(WORKER, "User")


def test_the_server_listens_on_this_machine_only_keeps_its_leases_on_disk_and_tells_nobody() -> None:
    [command] = values(SERVER, "ExecStart")
    assert "--host 127.0.0.1 " in command
    environment = dict(value.split("=", 1) for value in values(SERVER, "Environment"))
    lease_storage = environment["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"]
    assert lease_storage == "prefect.server.concurrency.lease_storage.filesystem"
    assert (environment["DO_NOT_TRACK"], environment["PREFECT_SERVER_ANALYTICS_ENABLED"]) == ("1", "false")


def test_old_runs_go_after_thirty_days(monkeypatch: pytest.MonkeyPatch) -> None:
    """In words that Prefect knows: it ignores any other without a sound."""
    for value in values(SERVER, "Environment"):
        monkeypatch.setenv(*value.split("=", 1))
    vacuum = ServerServicesDBVacuumSettings()
    assert vacuum.enabled_vacuum_types == {"events", "flow_runs", "orphans"}
    assert vacuum.retention_period == timedelta(days=30)
