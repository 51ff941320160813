"""The shipped automations on a real server: saved once, and each one fired by what it is for."""

import gzip
import io
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.automations import SHIPPED
from deployments.cli import main
from deployments.feed_deployments import HEARTBEAT
from deployments.local_s3 import LocalS3
from deployments.receiver import Receiver
from tests.e2e.processes import ROOT, PrefectServer, eventually, speaking_to

pytestmark = pytest.mark.e2e

AUTOMATIONS = {entry["name"]: entry for entry in yaml.safe_load(SHIPPED.read_text())["automations"]}
SILENCE_SECONDS = 10  # the least that Prefect takes

#: Runs feeds one after the other, as runs of a tagged deployment are.
RUNNER = """
import asyncio, sys
from prefect import tags
from flows.import_feed import import_feed_file
for path in sys.argv[1:]:
    with tags("px-import"):
        state = asyncio.run(import_feed_file(path, return_state=True))
    print(state.state_details.flow_run_id, flush=True)
"""


@dataclass
class Watched:
    """A server with its automations, and somebody who is told."""

    server: PrefectServer
    s3: LocalS3
    receiver: Receiver
    folder: Path
    runs: dict[str, str] = field(default_factory=dict)
    other: Any = None

    def settings(self, feed: str, **changes: Any) -> str:
        settings = {
            "feed": feed,
            "bucket": "e2e-automations",
            "base_folder": feed,
            "region": "us-east-1",
            "endpoint_url": self.s3.endpoint_url,
            "authorization": {
                "access_key_id": self.s3.access_key_id,
                "secret_access_key": self.s3.secret_access_key,
            },
            "destination": {"product": "AP-XXXXXXXXXX"},
            "store": f"sqlite:///{self.folder}/px.db",
        }
        path = self.folder / f"{feed}.yaml"
        path.write_text(yaml.safe_dump(settings | changes))
        return str(path)

    def put(self, key: str, body: bytes = b"") -> None:
        self.s3.client.put_object(Bucket="e2e-automations", Key=key, Body=body)

    def tick(self, *feeds: str) -> None:
        done = self.server.terminal("python", "-c", RUNNER, *(str(self.folder / f"{feed}.yaml") for feed in feeds))
        assert done.returncode == 0, done.stderr
        self.runs |= dict(zip(feeds, done.stdout.split()[-len(feeds) :], strict=True))

    def apply(self, *options: str, file: Path | None = None, code: int = 0) -> list[str]:
        """The lines that are said."""
        given = [str(file or self.folder / "automations.yaml"), *options]
        there = speaking_to(self.server.environment["PREFECT_API_URL"])
        with there, redirect_stdout(io.StringIO()) as said, redirect_stderr(said):
            assert main(["apply", "--automations", *given]) == code
        return said.getvalue().splitlines()

    def told(self, beginning: str) -> Any:
        """The message whose subject begins so, as soon as it is there."""

        def look() -> Any:
            return next((each for each in self.messages() if each["subject"].startswith(beginning)), None)

        try:
            return eventually(look)
        except AssertionError:
            lost = [each["payload"] for each in self.events("prefect.automation.action.failed")]
            subjects = [each["subject"] for each in self.messages()]
            pytest.fail(f"nobody was told {beginning!r}, but {subjects}; failed actions: {lost}")

    def messages(self) -> list[Any]:
        return [json.loads(each.body) for each in self.receiver.received]

    def tasks_of(self, run: str) -> list[str]:
        found = self.server.ask("POST", "/task_runs/filter", flow_runs={"id": {"any_": [run]}}, limit=200)
        return [task["name"] for task in found]

    def crashed(self, run: str) -> Any:
        found = self.server.ask("GET", f"/flow_runs/{run}")
        return found if found["state_type"] == "CRASHED" else None

    def run_of(self, file: str) -> str:
        """The id of the run of a settings file, empty where there is none yet."""
        found = [run["id"] for run in self.server.every("flow_runs") if run["parameters"] == {"settings_file": file}]
        return found[0] if found else ""

    def beating(self) -> set[str]:
        """The runs of which a heartbeat came."""
        return {each["resource"]["prefect.resource.id"] for each in self.events("prefect.flow-run.heartbeat")}

    def events(self, name: str) -> list[Any]:
        answer = self.server.ask("POST", "/events/filter", filter={"event": {"name": [name]}}, limit=50)
        return list(answer["events"])


@pytest.fixture(scope="module")
def watched(local_s3: LocalS3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    local_s3.create_bucket("e2e-automations")
    with PrefectServer(folder).started() as server, Receiver() as receiver:
        _save_block(server, "webhook", url=receiver.url)
        message = {"subject": "{{subject}}", "body": "{{body}}"}
        _save_block(server, "custom-webhook", url=receiver.url, name="ops", json_data=message)
        document = yaml.safe_load(SHIPPED.read_text())
        silent = next(entry for entry in document["automations"] if entry["name"] == "px-import: no heartbeat")
        silent["trigger"]["within"] = SILENCE_SECONDS
        (folder / "automations.yaml").write_text(yaml.safe_dump(document))
        yield Watched(server, local_s3, receiver, folder)


def _save_block(server: PrefectServer, kind: str, **data: Any) -> None:
    """A block document as a person makes it in the browser."""
    type_id = server.ask("GET", f"/block_types/slug/{kind}")["id"]
    [schema, *_] = server.ask("POST", "/block_schemas/filter", block_schemas={"block_type_id": {"any_": [type_id]}})
    server.ask("POST", "/block_documents/", name="ops", data=data, block_type_id=type_id, block_schema_id=schema["id"])


@pytest.fixture(scope="module")
def saved(watched: Watched) -> list[list[str]]:
    """What is said when the automations are saved: first, again, and for another block."""
    never = {
        "type": "event",
        "posture": "Reactive",
        "expect": ["nobody.says.this"],
    }  # else it would fire at its own fire
    watched.server.ask("POST", "/automations/", name="somebody else's", trigger=never, actions=[{"type": "do-nothing"}])
    [watched.other] = watched.server.every("automations")
    return [
        watched.apply("--notify", "custom-webhook/ops"),
        watched.apply("--notify", "custom-webhook/ops"),
        watched.apply("--notify", "webhook/ops"),
    ]


@pytest.fixture(scope="module")
def happened(watched: Watched, saved: list[list[str]]) -> Watched:
    """Everything that somebody should be told of has happened."""
    watched.settings("users")
    rows = "".join(f"{n},{n}@x\n" for n in range(120_000))
    watched.put("users/current/dt=20210227/users.csv.gz", gzip.compress(f"id,email\n{rows}".encode(), 1))
    watched.put("users/current/dt=20210227/_SUCCESS")
    watched.settings("wrong")
    watched.put("wrong/current/dt=20210228/users.csv.gz", gzip.compress(b"id,score\n1,high\n2,low\n"))
    watched.put("wrong/current/dt=20210228/_SUCCESS")
    watched.settings("late", expected_by="00:00", waiting_hours=0)
    watched.put("late/current/dt=20210301/users.csv.gz", b"x")
    watched.put("late/current/dt=20210302/_SUCCESS")
    watched.put(f"late/current/dt=20210303/{'/'.join(['d' * 199] * 5)}")
    watched.settings("refused", authorization={"access_key_id": "AKIAUNKNOWN", "secret_access_key": "x" * 40})
    watched.tick("users", "wrong", "late", "refused")
    watched.runs["import"] = watched.runs["users"]
    watched.tick("users")
    return watched


def test_automations_are_saved_once_and_others_left_alone(watched: Watched, saved: list[list[str]]) -> None:
    first, again, other_block = saved
    assert first == [f"created automation {name!r}" for name in AUTOMATIONS]
    assert again == [f"unchanged automation {name!r}" for name in AUTOMATIONS]
    assert [line.split()[0] for line in other_block] == [
        "updated" if "notify" in entry else "unchanged" for entry in AUTOMATIONS.values()
    ]
    there = watched.server.every("automations")
    assert sorted(each["name"] for each in there) == sorted([*AUTOMATIONS, "somebody else's"])
    assert [each for each in there if each["name"] == "somebody else's"] == [watched.other]


def test_a_rejected_import_is_told(happened: Watched) -> None:
    message = happened.told("wrong 2021-02-28 was rejected")
    assert "Invalid number in Column 'score': 2 rows (lines 2, 3)" in message["body"]
    assert message["body"].endswith("s3://e2e-automations/wrong/processed/20210228")


def test_a_failed_run_is_told(happened: Watched) -> None:
    message = happened.told(f"{happened.folder}/refused.yaml: Failed")
    assert message["body"].startswith("Not allowed to list s3://e2e-automations/refused/current/")


def test_a_feed_that_goes_no_further_is_told(happened: Watched) -> None:
    body = happened.told("refused goes no further")["body"]
    assert body.startswith("Not allowed to list s3://e2e-automations/refused/current/")


def test_an_overdue_feed_is_told(happened: Watched) -> None:
    assert "Expected by 00:00 UTC; the last one came never." in happened.told("late: no delivery on ")["body"]


@pytest.mark.parametrize(
    ("day", "subject"), [("20210301", "files, but no _SUCCESS"), ("20210302", "_SUCCESS, but no file")]
)
def test_a_folder_that_waits_too_long_is_told(happened: Watched, day: str, subject: str) -> None:
    message = happened.told(f"late {day[:4]}-{day[4:6]}-{day[6:]}: {subject} for 0 h")
    assert message["body"] == f"s3://e2e-automations/late/current/dt={day}/"


def test_a_folder_that_cannot_be_taken_is_told(happened: Watched) -> None:
    why, place = happened.told("late 2021-03-03 cannot be imported as it is")["body"].splitlines()
    assert why.endswith("too many for the archive; give it a shorter name")
    assert place == "s3://e2e-automations/late/current/dt=20210303/"


def test_a_run_that_has_died_is_marked_and_told(happened: Watched) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()  # and never accepts
        file = happened.settings("dying", endpoint_url=f"http://127.0.0.1:{mute.getsockname()[1]}")
        command = [sys.executable, "-c", RUNNER, file]
        with (happened.folder / "dying.log").open("wb") as log:
            run = subprocess.Popen(command, cwd=ROOT, env=happened.server.environment, stdout=log, stderr=log)
            try:
                id_ = eventually(lambda: happened.run_of(file))
                eventually(lambda: f"prefect.flow-run.{id_}" in happened.beating())
            finally:
                run.kill()
                run.wait()
    crashed = eventually(
        lambda: (s := happened.server.ask("GET", f"/flow_runs/{id_}"))["state_type"] == "CRASHED" and s
    )
    assert crashed["state"]["message"].startswith("No heartbeat comes any more.")
    assert "No heartbeat comes" in happened.told(f"{file}: Crashed")["body"]


def test_a_pool_without_its_worker_is_told(watched: Watched, saved: list[list[str]]) -> None:
    for pool in ("another", "px-import-docker"):
        watched.server.ask("POST", "/work_pools/", name=pool, type="process")

        def state(pool: str = pool) -> str:
            return str(watched.server.ask("GET", f"/work_pools/{pool}")["status"])

        command = ["prefect", "worker", "start", "--pool", pool, "--type", "process"]
        with watched.server.background(f"worker-{pool}", *command, PREFECT_WORKER_HEARTBEAT_SECONDS="1"):
            eventually(lambda: state() == "READY")
        eventually(lambda: state() == "NOT_READY")
    assert "The work pool px-import-docker has none" in watched.told("No worker takes the runs")["body"]
    assert len(watched.events("prefect.work-pool.not-ready")) >= 2
    assert not [each for each in watched.messages() if "another" in each["body"]]


def test_a_notification_block_tells_too(happened: Watched) -> None:
    file = happened.folder / "one.yaml"
    one = AUTOMATIONS["px-import: rejected import"] | {"name": "px-import: by notification"}
    one["notify"] = {"subject": "by notification: {{ event.payload.feed }}", "body": "{{ event.payload.records }}"}
    file.write_text(yaml.safe_dump({"notify": "custom-webhook/ops", "automations": [one]}))
    happened.apply(file=file)
    happened.put("wrong/current/dt=20210301/users.csv.gz", gzip.compress(b"id,score\n1,high\n"))
    happened.put("wrong/current/dt=20210301/_SUCCESS")
    happened.tick("wrong")
    assert happened.told("by notification")["subject"] == "by notification: wrong"


def test_an_automation_that_was_switched_off_stays_off(happened: Watched) -> None:
    file = happened.folder / "off.yaml"
    one = AUTOMATIONS["px-import: overdue"] | {"name": "px-import: off"}
    file.write_text(yaml.safe_dump({"notify": "webhook/ops", "automations": [one]}))
    assert happened.apply(file=file) == ["created automation 'px-import: off'"]

    def there() -> Any:
        [found] = [each for each in happened.server.every("automations") if each["name"] == "px-import: off"]
        return found

    happened.server.ask("PATCH", f"/automations/{there()['id']}", enabled=False)
    assert happened.apply(file=file) == ["unchanged automation 'px-import: off'"]
    file.write_text(yaml.safe_dump({"notify": "webhook/ops", "automations": [one | {"description": "another"}]}))
    assert happened.apply(file=file) == ["updated automation 'px-import: off'"]
    assert (there()["description"], there()["enabled"]) == ("another", False)


GOOD = AUTOMATIONS["px-import: overdue"]
WRONG = {
    "no file": (None, ["--notify", "webhook/ops"], "--automations: {file} cannot be read (No such file or directory)."),
    "no YAML": ("a: [", [], "--automations: {file} is not valid YAML in UTF-8."),
    "a settings file": ({"feed": "users"}, [], "--automations: {file} has no list of automations; settings files go"),
    "a list of names": ({"automations": ["overdue"]}, [], "--automations: {file} has no list of automations; settings"),
    "no block": (
        {"automations": [GOOD]},
        [],
        "--notify: name the block document that carries the messages, like slack",
    ),
    "a block that is missing": (
        {"automations": [GOOD]},
        ["--notify", "webhook/other"],
        "--notify: there is no block document webhook/other; make it in Prefect under Blocks.",
    ),
    "a message that says nothing": (
        {"notify": "webhook/ops", "automations": [GOOD | {"notify": {"subject": "late"}}]},
        [],
        "{file}: px-import: overdue.notify: give it a subject and a body.",
    ),
    "no trigger": (
        {"notify": "webhook/ops", "automations": [GOOD, {"name": "mine", "notify": GOOD["notify"]}]},
        [],
        "{file}: mine.trigger: field required.",
    ),
}


@pytest.mark.rule("S9")
@pytest.mark.parametrize(("content", "options", "sentence"), WRONG.values(), ids=WRONG)
def test_wrong_automations_are_refused_in_one_sentence_and_none_is_saved(
    watched: Watched, tmp_path: Path, content: Any, options: list[str], sentence: str
) -> None:
    file = tmp_path / "mine.yaml"
    if content is not None:
        file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    before = watched.server.every("automations")
    [said] = watched.apply(*options, file=file, code=2)
    assert said.startswith(f"px-import: {sentence.format(file=file)}"), said
    assert watched.server.every("automations") == before


@pytest.mark.rule("R5")
def test_an_event_names_its_feed_its_delivery_and_its_run(happened: Watched) -> None:
    [event] = eventually(lambda: happened.events("px.import.imported"))
    assert event["resource"]["prefect.resource.id"] == "px.feed.users"
    assert {key: event["payload"][key] for key in ("feed", "entity", "day", "records", "folder")} == {
        "feed": "users",
        "entity": "user",
        "day": "2021-02-27",
        "records": 120_000,
        "folder": "s3://e2e-automations/users/processed/20210227",
    }
    assert f"prefect.flow-run.{happened.runs['import']}" in {each["prefect.resource.id"] for each in event["related"]}
    blocked = {each["payload"]["feed"] for each in happened.events("px.import.blocked")}
    assert blocked - {"dying"} == {"refused"}  # which of its heartbeat and its trouble comes first is not ours


@pytest.mark.rule("R5")
def test_an_import_is_some_task_runs_and_an_idle_tick_a_few(happened: Watched) -> None:
    """However many rows there are: the import had 120,000."""
    idle = {"read settings", "connect", "take lease", "resume", "discover"}
    eventually(lambda: set(happened.tasks_of(happened.runs["users"])) >= idle)
    assert sorted(happened.tasks_of(happened.runs["users"])) == sorted(idle)
    eventually(lambda: "report dt=20210227" in happened.tasks_of(happened.runs["import"]))
    of_import = {"claim", "read file", "validate file", "load file", "decide", "archive", "clear", "finish", "report"}
    names = [re.sub(r" (dt=.*|\S+\.gz)$", "", name) for name in happened.tasks_of(happened.runs["import"])]
    assert sorted(names) == sorted(idle | of_import)


@pytest.mark.parametrize("file", [ROOT / "prefect.yaml", *(ROOT / "deployments").glob("prefect-*.yaml")], ids=str)
def test_a_healthy_run_is_not_taken_for_dead(file: Path) -> None:
    trigger = AUTOMATIONS["px-import: no heartbeat"]["trigger"]
    for deployment in yaml.safe_load(file.read_text(encoding="utf-8"))["deployments"]:
        environment = deployment["work_pool"]["job_variables"]["env"]
        assert HEARTBEAT.items() <= environment.items()
        heartbeat = int(environment["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"])
        assert trigger["within"] >= 3 * heartbeat
        assert "px-import" in deployment["tags"]
    assert trigger["match_related"] == {"prefect.resource.id": "prefect.tag.px-import"}
