import multiprocessing
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from blocks import ledger_reader, ledger_schema
from blocks.database import Store
from blocks.feed_places import settle
from blocks.history import StepName
from blocks.ledger import Decision, Lease, Ledger
from blocks.ledger_schema import VERSIONS
from blocks.sqlite_store import SqliteStore
from blocks.stores import open_store
from schemas.catalogue import AttributeType, Entity
from schemas.delivery import Delivery, DeliveryFile, Move, Stage, delivery_id, manifest
from schemas.drop_zone import Folder, ObjectKind, StoredObject
from schemas.errors import CountsDisagree, LeaseLost, SettingsError, StoreConflict
from schemas.issues import Code, FaultPlace, Issue
from schemas.outcome import FileOutcome, LoadCounts
from schemas.valid_file import ValidFile
from tests.blocks.conftest import TYPES, MakeFile

FEED = "users-feed"
MODIFIED = datetime(2021, 12, 25, 3, 4, 5, tzinfo=UTC)
LATER = MODIFIED + timedelta(seconds=1)
USERS = "users.csv.gz"


def stored(name: str, etag: str = "e1", size_bytes: int = 10, day: str = "20211225") -> StoredObject:
    return StoredObject(f"drop/current/dt={day}/{name}", etag, size_bytes, MODIFIED)


def folder(*objects: StoredObject, day: str = "20211225") -> Folder:
    ready = objects or (
        stored("_SUCCESS", size_bytes=0, day=day),
        stored("sub/", size_bytes=0, day=day),
        stored(USERS, day=day),
    )
    return Folder(day, f"drop/current/dt={day}/", tuple(ready))


@pytest.fixture
def ledger(store: Store) -> Ledger:
    ledger = Ledger(store)
    ledger.migrate()
    return ledger


@pytest.fixture
def lease(ledger: Ledger) -> Lease:
    lease = ledger.acquire(FEED, "run-1", 60)
    assert lease
    return lease


@pytest.fixture
def delivery(ledger: Ledger, lease: Lease) -> Delivery:
    delivery = ledger.claim(lease, Entity.USER, folder())
    assert delivery
    return delivery


@pytest.fixture
def valid(make_file: MakeFile) -> ValidFile:
    return make_file([{"id": "a", "name": "x"}, {"id": "b", "name": "y"}, {"id": "a", "name": "z"}])


def load(ledger: Ledger, lease: Lease, delivery: Delivery, valid: ValidFile, **how: Any) -> FileOutcome:
    what = {"entity": Entity.USER, "name": USERS, "size_bytes": 10, "sha256": "ab12", "clear_blanks": False, **how}
    return ledger.load(lease, delivery, valid, **what)


def decide(ledger: Ledger, lease: Lease, delivery: Delivery, **how: Any) -> None:
    what: dict[str, Any] = {
        "success": False,
        "status_txt": "ERROR\nGröße\n".encode(),
        "status_json": b'{"version": 1}\n',
        "errors_csv": b"file,line\r\nusers.csv.gz,2\r\n",
        "catalogue_hash": "c0ffee",
        "moves": [
            Move(stored("old"), "drop/processed/20211225.1/old"),
            Move(stored("a"), "drop/processed/20211225.1/a"),
        ],
        "callback_body": '{"message": "Größe"}'.encode(),
        **how,
    }
    ledger.decide(lease, delivery, **what)


def steps(ledger: Ledger, delivery: Delivery) -> list[str]:
    return [step.name.value for step in ledger.steps(delivery.id)]


def everything(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
    if isinstance(store, SqliteStore):
        tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
    with store.read() as reader:
        names = sorted(name for (name,) in reader.execute(tables))
        return {name: sorted(reader.execute(f'SELECT * FROM "{name}"'), key=repr) for name in names}


def count(store: Store, table: str, condition: str = "1 = 1") -> int:
    with store.read() as reader:
        [(found,)] = reader.execute(f"SELECT count(*) FROM {table} WHERE {condition}")
    return int(found)


REJECTED = FileOutcome(
    USERS,
    10,
    "cd34",
    12,
    None,
    (
        Issue(Code.UNKNOWN_COLUMN, "Unknown PX Column: 'größe,\"x\"'", column='größe,"x"'),
        Issue(Code.INVALID_NUMBER, "Invalid number in Column 'score'", 7, (2, 3, 5, 8, 13), "score"),
    ),
)
PLACES = [
    FaultPlace(1, 0, 'größe,"x"', Code.UNKNOWN_COLUMN, "Unknown PX Column: 'größe,\"x\"'"),
    FaultPlace(2, 1, "score", Code.INVALID_NUMBER, "Invalid number in Column 'score'"),
]

# --- tables -----------------------------------------------------------------------------------------------------------


def test_the_tables_are_made_once(store: Store, ledger: Ledger, delivery: Delivery) -> None:
    before = everything(store)
    ledger.migrate()
    assert everything(store) == before
    assert before["import_schema"] == [(len(VERSIONS),)]


def test_tables_of_a_newer_version_are_left_alone(store: Store, ledger: Ledger) -> None:
    with store.transaction() as tx:
        tx.execute("UPDATE import_schema SET version = 99")
    with pytest.raises(StoreConflict, match=r"version 99.*update this program"):
        ledger.migrate()


def test_a_ledger_of_the_first_version_is_brought_up_to_date_and_keeps_all(
    store: Store, monkeypatch: pytest.MonkeyPatch, valid: ValidFile
) -> None:
    ledger = Ledger(store)
    with monkeypatch.context() as earlier:
        earlier.setattr(ledger_schema, "VERSIONS", VERSIONS[:1])
        earlier.setattr("blocks.ledger.note", lambda *_: None)
        ledger.migrate()
        lease = ledger.acquire(FEED, "run-1", 60)
        assert lease
        delivery = ledger.claim(lease, Entity.USER, folder())
        assert delivery
        load(ledger, lease, delivery, valid)
    before = everything(store)
    ledger.migrate()
    after = everything(store)
    assert after == before | {"import_schema": [(len(VERSIONS),)], "import_steps": [], "import_feeds": []}
    assert ledger.resume(lease, Entity.USER, "s3://b/drop") == [delivery]


@pytest.mark.rule("R2")
def test_many_runs_may_open_a_new_file_at_once(store: Store) -> None:
    def start(run: int) -> bool:
        ledger = Ledger(store)
        ledger.migrate()
        return ledger.acquire(FEED, f"run-{run}", 60) is not None

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(start, range(8))) == [False] * 7 + [True]


def make_tables(url: str, ready: Any) -> None:
    """Runs in a process of its own."""
    ledger = Ledger(open_store(url))
    ready.wait()
    ledger.migrate()


@pytest.mark.rule("R2")
def test_two_processes_may_make_the_tables_at_once(store_url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Barrier(2)
    processes = [spawn.Process(target=make_tables, args=(store_url, ready)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert count(open_store(store_url), "import_schema") == 1


def test_where_the_tables_are_nothing_is_written(store: Store, ledger: Ledger) -> None:
    with store.transaction() as tx:
        tx.lock_schema()
        ledger.migrate()


# --- leases -----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("R2")
def test_a_lease_belongs_to_one_run_at_a_time(ledger: Ledger, lease: Lease) -> None:
    assert ledger.acquire(FEED, "run-2", 60) is None
    assert ledger.acquire("other-feed", "run-2", 60), "each feed has its own"
    ledger.renew(lease)
    ledger.release(lease)
    taken = ledger.acquire(FEED, "run-2", 60)
    assert taken == Lease(FEED, "run-2", lease.fence + 1, 60)
    with pytest.raises(LeaseLost, match=FEED):
        ledger.renew(lease)


@pytest.mark.rule("R2")
def test_a_lease_that_ran_out_passes_to_the_next_run(ledger: Ledger) -> None:
    first = ledger.acquire(FEED, "run-1", 0.05)
    assert first
    deadline = time.monotonic() + 5
    while not (second := ledger.acquire(FEED, "run-2", 60)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert second
    assert second.fence > first.fence
    with pytest.raises(LeaseLost):
        ledger.renew(first)
    ledger.release(first)
    assert ledger.acquire(FEED, "run-3", 60) is None, "a lease that was lost gives nothing back"


@pytest.mark.rule("R2")
def test_a_lease_that_ran_out_is_good_until_another_takes_it(ledger: Ledger, valid: ValidFile) -> None:
    late = ledger.acquire(FEED, "run-1", 0)
    assert late
    delivery = ledger.claim(late, Entity.USER, folder())
    assert delivery
    load(ledger, late, delivery, valid)
    ledger.renew(late, 60)
    assert ledger.acquire(FEED, "run-2", 60) is None


@pytest.mark.rule("R2")
@pytest.mark.parametrize("way", ["renew", "claim", "load"])
def test_whatever_is_written_renews_the_lease(ledger: Ledger, valid: ValidFile, way: str) -> None:
    late = ledger.acquire(FEED, "run-1", 0)
    assert late
    lease = replace(late, seconds=60)
    if way == "renew":
        ledger.renew(late, 60)
    elif way == "claim":
        ledger.claim(lease, Entity.USER, folder())
    else:
        delivery = ledger.claim(late, Entity.USER, folder())
        assert delivery
        load(ledger, lease, delivery, valid)
    assert ledger.acquire(FEED, "run-2", 60) is None


@pytest.mark.rule("R2")
def test_the_same_run_asking_again_loses_its_first_lease(ledger: Ledger, lease: Lease) -> None:
    again = ledger.acquire(FEED, "run-1", 60)
    assert again
    assert again.fence > lease.fence
    with pytest.raises(LeaseLost):
        ledger.renew(lease)


WRITES: Mapping[str, Callable[[Ledger, Lease, Delivery, ValidFile], object]] = {
    "renew": lambda ledger, lease, delivery, valid: ledger.renew(lease),
    "claim": lambda ledger, lease, delivery, valid: ledger.claim(lease, Entity.USER, folder(day="20211226")),
    "abandon": lambda ledger, lease, delivery, valid: ledger.abandon(lease, delivery),
    "adopt": lambda ledger, lease, delivery, valid: ledger.adopt(lease, delivery, USERS, stored(USERS, "e2")),
    "resume": lambda ledger, lease, delivery, valid: ledger.resume(lease, Entity.USER, "s3://b/drop"),
    "reject": lambda ledger, lease, delivery, valid: ledger.reject(lease, delivery, REJECTED, PLACES),
    "load": load,
    "decide": lambda ledger, lease, delivery, valid: decide(ledger, lease, delivery),
    "advance": lambda ledger, lease, delivery, valid: ledger.advance(lease, delivery, Stage.MOVED_ASIDE),
    "finish": lambda ledger, lease, delivery, valid: ledger.finish(lease, delivery),
    "record answer": lambda ledger, lease, delivery, valid: ledger.record_answer(
        lease, ledger.callbacks(FEED)[0].id, received=True, next_attempt_at=None, answer="200"
    ),
    "make due": lambda ledger, lease, delivery, valid: ledger.make_due(
        lease, ledger.callbacks(FEED)[0].id, even_if_received=False
    ),
}
BEFORE: Mapping[str, tuple[Stage, ...]] = {
    "advance": (Stage.DECIDED,),
    "finish": tuple(Stage)[1:],
    "record answer": tuple(Stage)[1:],
    "make due": tuple(Stage)[1:],
}


@pytest.mark.rule("R2")
@pytest.mark.parametrize("verb", WRITES)
@pytest.mark.parametrize("lost", [True, False], ids=["zombie", "owner"])
def test_a_run_that_lost_its_lease_writes_nothing(
    store: Store, ledger: Ledger, lease: Lease, delivery: Delivery, valid: ValidFile, verb: str, lost: bool
) -> None:
    for stage in BEFORE.get(verb, ()):
        decide(ledger, lease, delivery) if stage is Stage.DECIDED else ledger.advance(lease, delivery, stage)
    if lost:
        ledger.release(lease)
        assert ledger.acquire(FEED, "run-2", 60)
    before = everything(store)
    if lost:
        with pytest.raises(LeaseLost):
            WRITES[verb](ledger, lease, delivery, valid)
        assert everything(store) == before
    else:
        WRITES[verb](ledger, lease, delivery, valid)
        assert everything(store) != before, "the same call does write for the owner"


@pytest.mark.rule("R2")
def test_a_run_that_lost_its_lease_does_not_even_begin_to_load(
    ledger: Ledger, lease: Lease, delivery: Delivery, valid: ValidFile
) -> None:
    ledger.release(lease)
    begun: list[str] = []
    with pytest.raises(LeaseLost):
        load(ledger, lease, delivery, valid, progress=lambda: begun.append("a batch"))
    assert not begun


@pytest.mark.rule("R2")
def test_a_lease_of_one_feed_does_not_write_for_another(ledger: Ledger, delivery: Delivery) -> None:
    other = ledger.acquire("other-feed", "run-1", 60)
    assert other
    with pytest.raises(ValueError, match="other-feed"):
        ledger.abandon(other, delivery)


# --- claims -----------------------------------------------------------------------------------------------------------


@pytest.mark.rule("D6")
def test_a_claim_keeps_the_folder_as_it_was_listed(ledger: Ledger, lease: Lease, delivery: Delivery) -> None:
    assert delivery.id == delivery_id(FEED, folder())
    assert delivery.files == manifest(folder())
    assert [file.kind for file in delivery.files] == [ObjectKind.MARKER, ObjectKind.PLACEHOLDER, ObjectKind.INPUT]
    assert (delivery.feed, delivery.day, delivery.stage) == (FEED, "20211225", Stage.CLAIMED)
    assert abs(datetime.now(UTC) - delivery.claimed_at) < timedelta(seconds=30)
    assert ledger.open_deliveries(FEED) == [delivery]
    assert ledger.open_deliveries("other-feed") == []


@pytest.mark.rule("D6")
def test_a_claim_made_twice_is_one_claim(store: Store, ledger: Ledger, lease: Lease, delivery: Delivery) -> None:
    assert ledger.claim(lease, Entity.USER, folder()) == delivery
    assert count(store, "import_files") == 3


@pytest.mark.rule("R1")
def test_a_folder_has_one_open_delivery_at_most(store: Store, ledger: Ledger, lease: Lease, delivery: Delivery) -> None:
    newer = folder(stored("_SUCCESS", "e9", 0), stored(USERS, "e9"))
    assert ledger.claim(lease, Entity.USER, newer) is None
    assert ledger.open_deliveries(FEED) == [delivery]
    finish(ledger, lease, delivery)
    assert ledger.claim(lease, Entity.USER, newer)
    assert count(store, "import_deliveries") == 2


@pytest.mark.rule("R1")
def test_what_was_finished_is_not_imported_again(ledger: Ledger, lease: Lease, delivery: Delivery) -> None:
    finish(ledger, lease, delivery)
    assert ledger.claim(lease, Entity.USER, folder()) is None
    assert ledger.open_deliveries(FEED) == []


@pytest.mark.rule("D4")
def test_open_deliveries_come_oldest_day_first(ledger: Ledger, lease: Lease) -> None:
    for day in ("20211225", "20211223", "20211224"):
        ledger.claim(lease, Entity.USER, folder(day=day))
    assert [delivery.day for delivery in ledger.open_deliveries(FEED)] == ["20211223", "20211224", "20211225"]


def test_a_claim_of_which_nothing_was_loaded_can_be_forgotten(
    store: Store, ledger: Ledger, lease: Lease, delivery: Delivery
) -> None:
    ledger.reject(lease, delivery, REJECTED, PLACES)
    assert ledger.abandon(lease, delivery)
    assert count(store, "import_deliveries") == count(store, "import_files") == 0
    assert not ledger.abandon(lease, delivery)
    assert ledger.claim(lease, Entity.USER, folder()), "what was put back can be claimed again"
    assert steps(ledger, delivery) == ["claimed", "rejected", "abandoned", "claimed"]
    assert ledger.ids(delivery.id[:8]) == [delivery.id]


@pytest.mark.parametrize("how", ["loaded", "decided"])
def test_a_claim_that_left_a_trace_is_not_forgotten(
    ledger: Ledger, lease: Lease, delivery: Delivery, valid: ValidFile, how: str
) -> None:
    load(ledger, lease, delivery, valid) if how == "loaded" else decide(ledger, lease, delivery)
    assert not ledger.abandon(lease, delivery)
    assert len(ledger.open_deliveries(FEED)) == 1


@pytest.mark.rule("D6")
def test_a_file_that_changed_before_its_load_is_claimed_anew(ledger: Ledger, lease: Lease, delivery: Delivery) -> None:
    newer = replace(stored(USERS, "e2", 20), modified_at=LATER)
    adopted = ledger.adopt(lease, delivery, USERS, newer)
    assert adopted == replace(delivery, files=(*delivery.files[:2], DeliveryFile(USERS, ObjectKind.INPUT, newer)))
    assert ledger.open_deliveries(FEED) == [adopted]


@pytest.mark.rule("D6")
def test_a_file_that_changed_after_its_load_stays_as_it_was_loaded(
    ledger: Ledger, lease: Lease, delivery: Delivery, valid: ValidFile
) -> None:
    load(ledger, lease, delivery, valid)
    assert ledger.adopt(lease, delivery, USERS, stored(USERS, "e2")) == delivery


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.rule("L2")
@pytest.mark.rule("L3")
def test_a_load_writes_the_records_and_its_line(
    store: Store, ledger: Ledger, lease: Lease, delivery: Delivery, valid: ValidFile
) -> None:
    outcome = load(ledger, lease, delivery, valid)
    assert outcome == FileOutcome(USERS, 10, "ab12", 3, LoadCounts(created=2, repeated=1), ())
    assert ledger.file_outcomes(delivery) == {USERS: outcome}
    assert ledger.fault_places(delivery, 99) == []
    with store.read() as reader:
        assert reader.execute("SELECT id, name FROM users ORDER BY id") == [("a", "z"), ("b", "y")]


@pytest.mark.rule("L2")
def test_a_file_is_loaded_once(
    store: Store, ledger: Ledger, lease: Lease, delivery: Delivery, valid: ValidFile, make_file: MakeFile
) -> None:
    first = load(ledger, lease, delivery, valid)
    before = everything(store)["users"]
    assert load(ledger, lease, delivery, make_file([{"id": "later", "name": "x"}])) == first
    assert everything(store)["users"] == before


@pytest.mark.rule("L2")
def test_a_file_that_nobody_claimed_is_not_loaded(
    store: Store, ledger: Ledger, lease: Lease, delivery: Delivery, valid: ValidFile
) -> None:
    with pytest.raises(ValueError, match="no undecided file of delivery"):
        load(ledger, lease, delivery, valid, name="stranger.csv.gz")
    assert "users" not in everything(store)


@pytest.mark.rule("L3")
@pytest.mark.parametrize(
    ("wrong", "counted"),
    [
        pytest.param({"rows": 4}, 3, id="a-row-is-lost"),
        pytest.param({"rows": 2}, 3, id="a-row-too-many"),
        pytest.param({"repeated": 2}, 4, id="validation-saw-more-repeated"),
        pytest.param({"rows": 4, "repeated": 2}, 3, id="the-load-saw-fewer-repeated"),
    ],
)
def test_counts_that_do_not_add_up_undo_the_load(
    store: Store,
    ledger: Ledger,
    lease: Lease,
    delivery: Delivery,
    valid: ValidFile,
    wrong: dict[str, int],
    counted: int,
) -> None:
    before = everything(store)
    with pytest.raises(CountsDisagree) as caught:
        load(ledger, lease, delivery, replace(valid, **wrong))
    assert (caught.value.file_name, caught.value.counted) == (USERS, counted)
    assert everything(store) == before


@pytest.mark.rule("L2")
@pytest.mark.rule("R2")
def test_a_load_that_is_stopped_leaves_nothing(
    store: Store, ledger: Ledger, lease: Lease, delivery: Delivery, valid: ValidFile
) -> None:
    def lost() -> None:
        raise LeaseLost(FEED)

    before = everything(store)
    with pytest.raises(LeaseLost):
        load(ledger, lease, delivery, valid, progress=lost)
    assert everything(store) == before


@pytest.mark.rule("L4")
def test_a_load_that_does_not_fit_the_tables_leaves_nothing(
    store: Store, ledger: Ledger, lease: Lease, delivery: Delivery, make_file: MakeFile, valid: ValidFile
) -> None:
    load(ledger, lease, delivery, valid)
    other = ledger.claim(lease, Entity.USER, folder(day="20211226"))
    assert other
    before = everything(store)
    with pytest.raises(StoreConflict):
        load(ledger, lease, other, make_file([{"id": "a", "name": 1.0}], types={**TYPES, "name": AttributeType.NUMBER}))
    assert everything(store) == before


@pytest.mark.rule("F1")
@pytest.mark.rule("F4")
def test_a_rejection_is_kept_whole_and_stays(
    ledger: Ledger, lease: Lease, delivery: Delivery, valid: ValidFile
) -> None:
    ledger.reject(lease, delivery, REJECTED, PLACES)
    assert ledger.file_outcomes(delivery) == {USERS: REJECTED}
    assert ledger.fault_places(delivery, 99) == [(USERS, place) for place in PLACES]
    ledger.reject(lease, delivery, replace(REJECTED, rows=99), [])
    assert load(ledger, lease, delivery, valid) == REJECTED, "what was rejected is not loaded after all"
    assert ledger.fault_places(delivery, 99) == [(USERS, place) for place in PLACES]


@pytest.mark.rule("P5")
def test_nothing_is_loaded_or_rejected_after_the_decision(
    store: Store, ledger: Ledger, lease: Lease, delivery: Delivery, valid: ValidFile
) -> None:
    decide(ledger, lease, delivery)
    before = everything(store)
    with pytest.raises(ValueError, match="no undecided file"):
        load(ledger, lease, delivery, valid)
    with pytest.raises(ValueError, match="no undecided file"):
        ledger.reject(lease, delivery, REJECTED, PLACES)
    assert everything(store) == before


def test_a_rejection_of_a_file_that_nobody_claimed_is_a_mistake(
    ledger: Ledger, lease: Lease, delivery: Delivery
) -> None:
    with pytest.raises(ValueError, match="no undecided file of delivery"):
        ledger.reject(lease, delivery, replace(REJECTED, name="stranger.csv.gz"), PLACES)


@pytest.mark.parametrize("code", Code, ids=lambda code: code.value)
def test_every_kind_of_fault_comes_back_as_it_was(ledger: Ledger, lease: Lease, delivery: Delivery, code: Code) -> None:
    outcome = replace(REJECTED, sha256="", issues=(Issue(code, "… \x00 \u2028 '\"\\", 1, (2,), "c"),))
    places = [FaultPlace(0, 0, "", code, "m")]
    ledger.reject(lease, delivery, outcome, places)
    assert ledger.file_outcomes(delivery)[USERS] == outcome
    assert ledger.fault_places(delivery, 99) == [(USERS, places[0])]


@pytest.mark.rule("D4")
def test_outcomes_come_in_import_order(ledger: Ledger, lease: Lease) -> None:
    names = ["a.csv.gz", "b.csv.gz", "c.csv"]
    delivery = ledger.claim(lease, Entity.USER, folder(stored("_SUCCESS", size_bytes=0), *map(stored, names)))
    assert delivery
    for name in reversed(names):
        ledger.reject(lease, delivery, replace(REJECTED, name=name), PLACES[:1])
    assert list(ledger.file_outcomes(delivery)) == names
    assert [name for name, _ in ledger.fault_places(delivery, 99)] == names


@pytest.mark.rule("F4")
def test_of_many_rejected_files_only_the_first_places_are_read(
    ledger: Ledger, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{n:02d}.csv.gz" for n in range(25)]
    delivery = ledger.claim(lease, Entity.USER, folder(stored("_SUCCESS", size_bytes=0), *map(stored, names)))
    assert delivery
    for name in names:
        ledger.reject(lease, delivery, replace(REJECTED, name=name), PLACES)
    everything = [(name, place) for name in names for place in PLACES]
    assert ledger.fault_places(delivery, 10**6) == everything
    parsed: list[str] = []
    right = ledger_reader.fault_places
    monkeypatch.setattr(ledger_reader, "fault_places", lambda text: parsed.append(text) or right(text))
    assert ledger.fault_places(delivery, 5) == everything[:5]
    assert len(parsed) < len(names)


# --- a process that is killed -----------------------------------------------------------------------------------------


def load_until_killed(url: str, lease: Lease, delivery: Delivery, valid: ValidFile, reached: Path) -> None:
    """Runs in a process of its own: stands still in the middle of a load."""

    def stand_still() -> None:
        reached.touch()
        time.sleep(60)

    load(Ledger(open_store(url)), lease, delivery, valid, progress=stand_still)


@pytest.mark.rule("R1")
@pytest.mark.rule("L2")
def test_a_process_killed_in_the_middle_of_a_load_leaves_nothing(
    store: Store, store_url: str, ledger: Ledger, make_file: MakeFile, tmp_path: Path
) -> None:
    lease = ledger.acquire(FEED, "run-1", 0)
    assert lease
    delivery = ledger.claim(lease, Entity.USER, folder())
    assert delivery
    valid = make_file([{"id": str(n), "name": "x" * 5000} for n in range(30_000)], batch_rows=20_000)
    before, reached = everything(store), tmp_path / "reached"
    process = multiprocessing.get_context("spawn").Process(
        target=load_until_killed, args=(store_url, lease, delivery, valid, reached)
    )
    process.start()
    try:
        deadline = time.monotonic() + 60
        while not reached.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert reached.exists()
        if isinstance(store, SqliteStore):
            assert Path(f"{store.path}-wal").stat().st_size > 10_000_000, "much of it is on disk already"
    finally:
        process.kill()
        process.join()
    assert everything(store) == before
    heir = ledger.acquire(FEED, "run-2", 60)
    assert heir
    [resumed] = ledger.open_deliveries(FEED)
    assert load(ledger, heir, resumed, valid).counts == LoadCounts(created=30_000)
    assert count(store, "users") == 30_000


# --- the verdict ------------------------------------------------------------------------------------------------------


@pytest.mark.rule("P5")
def test_a_decision_comes_back_byte_for_byte(ledger: Ledger, lease: Lease, delivery: Delivery) -> None:
    decide(ledger, lease, delivery)
    assert ledger.decision(delivery) == Decision(
        verdict="ERROR",
        status_txt="ERROR\nGröße\n".encode(),
        status_json=b'{"version": 1}\n',
        errors_csv=b"file,line\r\nusers.csv.gz,2\r\n",
        catalogue_hash="c0ffee",
        moves=(Move(stored("old"), "drop/processed/20211225.1/old"), Move(stored("a"), "drop/processed/20211225.1/a")),
    )
    assert [delivery.stage for delivery in ledger.open_deliveries(FEED)] == [Stage.DECIDED]


@pytest.mark.rule("P5")
def test_what_was_decided_stays(store: Store, ledger: Ledger, lease: Lease, delivery: Delivery) -> None:
    decide(ledger, lease, delivery, success=True, errors_csv=None, moves=[], callback_body=None)
    decided = ledger.decision(delivery)
    assert (decided.verdict, decided.errors_csv, decided.moves) == ("SUCCESS", None, ())
    assert ledger.due_callbacks(FEED) == []
    decide(ledger, lease, delivery)
    finish(ledger, lease, delivery)
    decide(ledger, lease, delivery)
    assert ledger.decision(delivery) == decided
    assert ledger.due_callbacks(FEED) == []
    assert count(store, "import_moves") == 0


def test_without_a_decision_there_is_none_to_ask_for(ledger: Ledger, delivery: Delivery) -> None:
    with pytest.raises(ValueError, match="not decided"):
        ledger.decision(delivery)


def finish(ledger: Ledger, lease: Lease, delivery: Delivery) -> None:
    decide(ledger, lease, delivery)
    for stage in tuple(Stage)[2:]:
        ledger.advance(lease, delivery, stage)
    ledger.finish(lease, delivery)


@pytest.mark.rule("R1")
def test_a_delivery_only_moves_on_and_step_by_step(ledger: Ledger, lease: Lease, delivery: Delivery) -> None:
    for stage in (Stage.DECIDED, Stage.MOVED_ASIDE):
        with pytest.raises(ValueError, match=f"claimed cannot be {stage}"):
            ledger.advance(lease, delivery, stage)
    decide(ledger, lease, delivery)
    with pytest.raises(ValueError, match="decided cannot be archived"):
        ledger.advance(lease, delivery, Stage.ARCHIVED)
    with pytest.raises(ValueError, match="not cleared"):
        ledger.finish(lease, delivery)
    for stage in (Stage.MOVED_ASIDE, Stage.ARCHIVED, Stage.ARCHIVED, Stage.CLEARED, Stage.ARCHIVED, Stage.CLAIMED):
        ledger.advance(lease, delivery, stage)
    [cleared] = ledger.open_deliveries(FEED)
    assert cleared.stage is Stage.CLEARED
    ledger.finish(lease, delivery)
    finished = ledger.deliveries()[0].finished_at
    assert finished
    ledger.finish(lease, delivery)
    assert ledger.deliveries()[0].finished_at == finished
    assert ledger.open_deliveries(FEED) == []


@pytest.mark.rule("R5")
def test_people_can_see_what_was_imported(ledger: Ledger, lease: Lease, delivery: Delivery, valid: ValidFile) -> None:
    load(ledger, lease, delivery, valid)
    [record] = ledger.deliveries()
    assert (record.verdict, record.stage, record.finished_at, record.catalogue_hash) == ("", Stage.CLAIMED, None, "")
    finish(ledger, lease, delivery)
    ledger.claim(lease, Entity.USER, folder(day="20211226"))
    newest, record = ledger.deliveries(FEED)
    assert (newest.day, record.day) == ("20211226", "20211225")
    assert (record.feed, record.entity, record.verdict, record.stage) == (FEED, "user", "ERROR", Stage.CLEARED)
    assert record.finished_at
    assert record.claimed_at == delivery.claimed_at <= record.finished_at
    assert (record.counts, record.catalogue_hash) == (LoadCounts(created=2, repeated=1), "c0ffee")
    assert [file.name for file in record.files] == [USERS]
    assert ledger.deliveries("other-feed") == []
    assert ledger.deliveries(limit=1) == [newest]


# --- the outbox -------------------------------------------------------------------------------------------------------


@pytest.mark.rule("N1")
def test_a_callback_waits_for_its_delivery(ledger: Ledger, lease: Lease, delivery: Delivery) -> None:
    decide(ledger, lease, delivery)
    for stage in tuple(Stage)[2:]:
        ledger.advance(lease, delivery, stage)
        assert ledger.due_callbacks(FEED) == []
    assert [callback.finished_at for callback in ledger.callbacks(FEED)] == [None]
    ledger.finish(lease, delivery)
    assert [callback.delivery_id for callback in ledger.due_callbacks(FEED)] == [delivery.id]
    assert [callback.finished_at for callback in ledger.callbacks(FEED)] == [ledger.deliveries()[0].finished_at]


@pytest.mark.rule("N2")
@pytest.mark.rule("N3")
def test_a_callback_waits_under_one_id_until_it_is_received(ledger: Ledger, lease: Lease, delivery: Delivery) -> None:
    finish(ledger, lease, delivery)
    [callback] = ledger.due_callbacks(FEED)
    assert (callback.delivery_id, callback.body, callback.attempts) == (delivery.id, '{"message": "Größe"}'.encode(), 0)
    now = datetime.now(UTC)
    ledger.record_answer(lease, callback.id, received=False, next_attempt_at=now - timedelta(seconds=1), answer="500")
    assert ledger.due_callbacks(FEED) == [replace(callback, attempts=1)]
    assert ledger.due_callbacks("other-feed") == []
    ledger.record_answer(lease, callback.id, received=True, next_attempt_at=None, answer="200")
    assert ledger.due_callbacks(FEED) == []


@pytest.mark.rule("N2")
def test_a_callback_is_not_due_before_its_time(ledger: Ledger, lease: Lease, delivery: Delivery) -> None:
    finish(ledger, lease, delivery)
    [callback] = ledger.due_callbacks(FEED)
    now = datetime.now(UTC)
    ledger.record_answer(lease, callback.id, received=False, next_attempt_at=now + timedelta(hours=1), answer="503")
    assert ledger.due_callbacks(FEED) == []
    ledger.record_answer(lease, callback.id, received=False, next_attempt_at=now, answer="503")
    assert ledger.due_callbacks(FEED) == [replace(callback, attempts=2)]


@pytest.mark.rule("N2")
@pytest.mark.parametrize(
    ("received", "done"),
    [
        (True, "received_at_ms IS NOT NULL AND gave_up_at_ms IS NULL"),
        (False, "gave_up_at_ms IS NOT NULL AND received_at_ms IS NULL"),
    ],
    ids=["received", "given-up"],
)
def test_a_callback_that_is_done_stays_done(
    store: Store, ledger: Ledger, lease: Lease, delivery: Delivery, received: bool, done: str
) -> None:
    finish(ledger, lease, delivery)
    [callback] = ledger.due_callbacks(FEED)
    ledger.record_answer(lease, callback.id, received=received, next_attempt_at=None, answer="410 gone")
    assert count(store, "import_callbacks", f"{done} AND attempts = 1 AND last_answer = '410 gone'") == 1
    before = everything(store)["import_callbacks"]
    ledger.record_answer(lease, callback.id, received=not received, next_attempt_at=datetime.now(UTC), answer="late")
    assert everything(store)["import_callbacks"] == before
    assert ledger.due_callbacks(FEED) == []


@pytest.mark.rule("N2")
def test_the_callback_that_waited_longest_goes_first(ledger: Ledger, lease: Lease) -> None:
    for day in ("20211225", "20211226"):
        delivery = ledger.claim(lease, Entity.USER, folder(day=day))
        assert delivery
        finish(ledger, lease, delivery)
    first, second = ledger.due_callbacks(FEED)
    assert first.id != second.id
    sooner = datetime.now(UTC) - timedelta(hours=1)
    ledger.record_answer(lease, second.id, received=False, next_attempt_at=sooner, answer="")
    assert [callback.id for callback in ledger.due_callbacks(FEED)] == [second.id, first.id]


# --- history ----------------------------------------------------------------------------------------------------------


def test_every_step_is_kept_with_its_run_and_only_once(
    store: Store, ledger: Ledger, lease: Lease, delivery: Delivery, valid: ValidFile
) -> None:
    ledger.adopt(lease, delivery, USERS, stored(USERS, "e2"))
    load(ledger, lease, delivery, valid)
    load(ledger, lease, delivery, valid)
    ledger.release(lease)
    later = ledger.acquire(FEED, "run-2", 60)
    assert later
    for _ in range(2):
        decide(ledger, later, delivery)
    [callback] = ledger.callbacks(FEED)
    ledger.record_answer(later, callback.id, received=False, next_attempt_at=LATER, answer="503 busy")
    ledger.advance(later, delivery, Stage.MOVED_ASIDE, [(StepName.NOT_MOVED, "old was removed meanwhile")])
    ledger.advance(later, delivery, Stage.MOVED_ASIDE, [(StepName.NOT_MOVED, "old was removed meanwhile")])
    for stage in (Stage.ARCHIVED, Stage.ARCHIVED, Stage.CLEARED):
        ledger.advance(later, delivery, stage)
    for _ in range(2):
        ledger.finish(later, delivery)
    found = [(step.run, step.fence, step.name, step.detail) for step in ledger.steps(delivery.id)]
    assert found == [
        ("run-1", 1, StepName.CLAIMED, "dt=20211225, 3 objects"),
        ("run-1", 1, StepName.ADOPTED, USERS),
        ("run-1", 1, StepName.LOADED, USERS),
        ("run-2", 2, StepName.DECIDED, "ERROR"),
        ("run-2", 2, StepName.TOLD, "503 busy"),
        ("run-2", 2, StepName.NOT_MOVED, "old was removed meanwhile"),
        ("run-2", 2, StepName.MOVED_ASIDE, ""),
        ("run-2", 2, StepName.ARCHIVED, ""),
        ("run-2", 2, StepName.CLEARED, ""),
        ("run-2", 2, StepName.FINISHED, ""),
    ]
    times = [step.at for step in ledger.steps(delivery.id)]
    assert times == sorted(times)
    assert abs(datetime.now(UTC) - times[0]) < timedelta(minutes=5)


def test_what_is_undone_leaves_no_step(ledger: Ledger, lease: Lease, delivery: Delivery, valid: ValidFile) -> None:
    with pytest.raises(CountsDisagree):
        load(ledger, lease, delivery, replace(valid, repeated=0))
    assert steps(ledger, delivery) == ["claimed"]


@pytest.mark.rule("R1")
def test_a_delivery_that_is_resumed_shows_by_whom(ledger: Ledger, lease: Lease, delivery: Delivery) -> None:
    ledger.release(lease)
    later = ledger.acquire(FEED, "run-2", 60)
    assert later
    assert ledger.resume(later, Entity.USER, "s3://b/drop") == [delivery]
    last = ledger.steps(delivery.id)[-1]
    assert (last.name, last.run, last.detail) == (StepName.RESUMED, "run-2", "claimed")


# --- places -----------------------------------------------------------------------------------------------------------


def test_a_feed_may_move_but_not_away_from_what_is_open(ledger: Ledger, lease: Lease) -> None:
    assert ledger.resume(lease, Entity.USER, "s3://b/one") == []
    assert ledger.resume(lease, Entity.USER, "s3://b/two") == []
    ledger.claim(lease, Entity.USER, folder())
    with pytest.raises(SettingsError, match=r"base_folder: dt=20211225 of s3://b/two is not finished; set bucket"):
        ledger.resume(lease, Entity.USER, "s3://b/three")
    assert len(ledger.resume(lease, Entity.USER, "s3://b/two")) == 1


def test_a_place_is_not_taken_over_while_another_feed_has_open_deliveries_there(ledger: Ledger, lease: Lease) -> None:
    ledger.resume(lease, Entity.USER, "s3://b/one")
    delivery = ledger.claim(lease, Entity.USER, folder())
    assert delivery
    renamed = ledger.acquire("renamed", "run-2", 60)
    assert renamed
    with pytest.raises(SettingsError, match=r"the feed 'users-feed' has unfinished deliveries in s3://b/one"):
        ledger.resume(renamed, Entity.USER, "s3://b/one")
    assert ledger.abandon(lease, delivery)
    ledger.release(lease)
    assert ledger.resume(renamed, Entity.USER, "s3://b/one") == []


def test_two_feeds_are_never_at_work_in_one_place(ledger: Ledger, lease: Lease) -> None:
    ledger.resume(lease, Entity.USER, "s3://b/one")
    other = ledger.acquire("other", "run-2", 60)
    assert other
    with pytest.raises(
        SettingsError, match=r"base_folder: the feed 'users-feed' imports from s3://b/one at this moment"
    ):
        ledger.resume(other, Entity.USER, "s3://b/one")
    ledger.release(lease)
    ledger.resume(other, Entity.USER, "s3://b/one")
    again = ledger.acquire(FEED, "run-3", 60)
    assert again
    with pytest.raises(SettingsError, match=r"the feed 'other' imports from s3://b/one at this moment"):
        ledger.resume(again, Entity.USER, "s3://b/one")  # though this place was noted as its own before
    assert ledger.resume(again, Entity.USER, "s3://b/two") == []


def test_of_two_new_feeds_the_second_one_sees_the_first(store: Store, ledger: Ledger, lease: Lease) -> None:
    other = ledger.acquire("other", "run-2", 60)
    assert other
    with ThreadPoolExecutor(1) as pool:
        with store.transaction() as tx:
            settle(tx, FEED, Entity.USER, "s3://b/one", ())
            second = pool.submit(ledger.resume, other, Entity.USER, "s3://b/one")
            assert not wait([second], timeout=1).done
        with pytest.raises(SettingsError, match=r"the feed 'users-feed' imports from s3://b/one at this moment"):
            second.result()


def test_a_run_that_stood_still_goes_no_further_once_another_feed_has_its_place(ledger: Ledger) -> None:
    late = ledger.acquire(FEED, "run-1", 0)
    other = ledger.acquire("other", "run-2", 60)
    assert late
    assert other
    ledger.resume(late, Entity.USER, "s3://b/one")
    ledger.resume(other, Entity.USER, "s3://b/one")
    with pytest.raises(LeaseLost):
        ledger.claim(late, Entity.USER, folder())


def test_two_feeds_that_both_have_something_open_in_one_place_finish_it_in_turn(
    store: Store, ledger: Ledger, lease: Lease
) -> None:
    ledger.resume(lease, Entity.USER, "s3://b/one")
    other = ledger.acquire("other", "run-2", 60)
    assert other
    ledger.resume(other, Entity.USER, "s3://b/two")
    for each in (lease, other):
        ledger.claim(each, Entity.USER, folder())
    with store.transaction() as tx:
        tx.execute("UPDATE import_feeds SET place = 's3://b/one'")
    ledger.release(lease)
    assert len(ledger.resume(other, Entity.USER, "s3://b/one")) == 1


def test_what_is_open_stays_of_its_entity(ledger: Ledger, lease: Lease, delivery: Delivery) -> None:
    with pytest.raises(SettingsError, match=r"entity: dt=20211225 is not finished; set entity back to user"):
        ledger.resume(lease, Entity.ACCOUNT, "s3://b/one")
    assert ledger.resume(lease, Entity.USER, "s3://b/one") == [delivery]


def test_a_renamed_feed_tells_what_the_former_one_did_not(ledger: Ledger, lease: Lease, delivery: Delivery) -> None:
    ledger.resume(lease, Entity.USER, "s3://b/one")
    finish(ledger, lease, delivery)
    waiting = ledger.due_callbacks(FEED)
    ledger.release(lease)
    renamed = ledger.acquire("renamed", "run-2", 60)
    assert renamed
    ledger.resume(renamed, Entity.USER, "s3://b/elsewhere")
    assert ledger.due_callbacks("renamed") == []
    ledger.resume(renamed, Entity.USER, "s3://b/one")
    assert ledger.due_callbacks("renamed") == waiting != []
    assert ledger.due_callbacks(FEED) == []
    ledger.release(renamed)
    back = ledger.acquire(FEED, "run-3", 60)
    assert back
    ledger.resume(back, Entity.USER, "s3://b/one")
    assert ledger.due_callbacks(FEED) == waiting


# --- callbacks for people ---------------------------------------------------------------------------------------------


@pytest.mark.rule("N2")
def test_a_callback_is_made_due_again_with_its_tries_counted_anew(
    ledger: Ledger, lease: Lease, delivery: Delivery
) -> None:
    finish(ledger, lease, delivery)
    [callback] = ledger.due_callbacks(FEED)
    ledger.record_answer(lease, callback.id, received=False, next_attempt_at=None, answer="410 Gone")
    [record] = ledger.callbacks(FEED)
    assert (record.state, record.attempts, record.last_answer, record.day) == ("given up", 1, "410 Gone", "20211225")
    assert ledger.make_due(lease, callback.id, even_if_received=False)
    assert ledger.due_callbacks(FEED) == [callback]
    ledger.record_answer(lease, callback.id, received=True, next_attempt_at=None, answer="")
    assert not ledger.make_due(lease, callback.id, even_if_received=False)
    assert ledger.due_callbacks(FEED) == []
    assert ledger.make_due(lease, callback.id, even_if_received=True)
    assert [each.state for each in ledger.callbacks()] == ["waiting"]
    assert ledger.callbacks("other-feed") == []
    assert not ledger.make_due(lease, "no such", even_if_received=True)
