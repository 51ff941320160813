"""What a store's ledger says of all its feeds at once."""

from datetime import UTC, datetime

from blocks.backlog import Backlog, backlog_of
from blocks.database import Store
from blocks.ledger import Ledger
from schemas.catalogue import Entity
from schemas.delivery import Stage
from schemas.drop_zone import Folder, StoredObject


def folder(day: str) -> Folder:
    at = datetime(2021, 2, 28, tzinfo=UTC)
    prefix = f"current/dt={day}/"
    return Folder(
        day, prefix, (StoredObject(f"{prefix}_SUCCESS", "m", 0, at), StoredObject(f"{prefix}u.csv.gz", "e", 9, at))
    )


def test_a_store_without_a_ledger_has_none(store: Store) -> None:
    assert backlog_of(store) == Backlog()


def test_what_is_open_due_and_held(store: Store) -> None:
    ledger = Ledger(store)
    ledger.migrate()
    for feed in ("open", "due", "done"):
        lease = ledger.acquire(feed, "run", 60)
        assert lease
        delivery = ledger.claim(lease, Entity.USER, folder("20210228"))
        assert delivery
        if feed != "open":
            body = b"{}" if feed == "due" else None
            ledger.decide(lease, delivery, success=True, status_txt=b"", status_json=b"", errors_csv=None,
                          catalogue_hash="", moves=[], callback_body=body)  # fmt: skip
            for stage in (Stage.ARCHIVED, Stage.CLEARED):
                ledger.advance(lease, delivery, stage)
            ledger.finish(lease, delivery)
        ledger.release(lease)
    ledger.acquire("held", "run", 60)
    expired = ledger.acquire("expired", "run", 60)
    assert expired
    ledger.renew(expired, -1)

    assert backlog_of(store) == Backlog(open={"open"}, due={"due"}, held={"held"})

    lease = ledger.acquire("due", "run", 60)
    assert lease
    [callback] = ledger.due_callbacks("due")
    ledger.record_answer(lease, callback.id, received=True, next_attempt_at=None, answer="")
    assert backlog_of(store).due == frozenset()
