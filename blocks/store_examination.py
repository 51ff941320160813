"""Looks at a feed's store and tries what the importer does there, in transactions that are rolled back (rule L1)."""

import time
from collections.abc import Iterator

from blocks.import_settings import ImportSettings
from blocks.ledger import Ledger
from blocks.ledger_schema import VERSIONS
from blocks.stores import open_store
from schemas.catalogue import Entity
from schemas.diagnosis import NotChecked, Remark, State, clock_remarks
from schemas.errors import AccessRefused, StoreBusy

PATIENCE_SECONDS = 3.0
#: The ledger's tables: a column of each, and what a run does to it besides reading.
_LEDGER = {
    "import_leases": ("feed", ("INSERT", "UPDATE")),
    "import_feeds": ("feed", ("INSERT", "UPDATE")),
    "import_steps": ("name", ("INSERT",)),
    "import_deliveries": ("id", ("INSERT", "UPDATE", "DELETE")),
    "import_files": ("name", ("INSERT", "UPDATE", "DELETE")),
    "import_moves": ("key", ("INSERT", "UPDATE", "DELETE")),
    "import_callbacks": ("id", ("INSERT", "UPDATE", "DELETE")),
}
_RECORDS = {Entity.USER: ("users", "user_products"), Entity.ACCOUNT: ("accounts", "account_products")}


class StoreExamination:
    """The checks of one feed's store, to be made in the order in which they stand here: each builds on others."""

    def __init__(self, settings: ImportSettings) -> None:
        """Keep what to look at; nothing is opened yet."""
        self._settings = settings
        self._store = open_store(settings.store_url.get_secret_value(), PATIENCE_SECONDS)
        self._ledger = Ledger(self._store)
        self._is_reachable = self._is_there = self._is_current = False

    def store(self) -> Iterator[Remark]:
        """Whether the database can be reached and what has to be done in it is allowed."""
        self._is_there = self._is_reachable = self._store.has("import_schema")
        name = self._store.name if self._store.shared else f"the SQLite file {self._store.name}"
        try:
            refused = self._refused() if self._is_there else self._try_to_make()
        except StoreBusy as error:
            if self._store.shared or not self._is_there:
                raise
            yield State.WARNING, f"{name} can be read; {error.reason}, so whether it can be written was not tried"
            return
        self._is_reachable = True
        if refused:
            cure = "let its owner grant the role in the store's URL what docs/store.md lists"
            yield State.FAILED, f"{name} does not allow {', '.join(refused)}; {cure}"
        else:
            yield State.OK, f"{name} {'can be read and written' if self._is_there else 'can take the tables'}"

    def tables(self) -> Iterator[Remark]:
        """Of which version the ledger's tables are."""
        self._must_be_reachable()
        if not self._is_there:
            yield State.OK, "none yet: the first run makes them"
            return
        with self._store.read() as reader:
            [(version,)] = reader.execute("SELECT coalesce(max(version), 0) FROM import_schema")
        known = len(VERSIONS)
        self._is_current = version == known
        if version > known:
            yield State.FAILED, f"the ledger is of version {version}, this program knows {known}: update this program"
        else:
            yield State.OK, f"the ledger is of version {version}{', the next run updates it' * (version < known)}"

    def store_clock(self) -> Iterator[Remark]:
        """Whether the database's clock and this machine's agree."""
        self._must_be_reachable()
        if not self._store.shared:
            yield State.OK, "SQLite goes by this machine's clock"
            return
        with self._store.read() as reader:
            ahead = reader.now_ms() / 1000 - time.time()
        yield from clock_remarks("the database's clock", ahead, "times in the ledger differ from those in logs")

    def deliveries(self) -> Iterator[Remark]:
        """Deliveries that are not finished."""
        self._must_have_ledger()
        if not self._is_there:
            yield State.OK, "nothing was imported yet"
            return
        feed = self._settings.feed
        at_work, left = self._ledger.is_held(feed), self._ledger.open_deliveries(feed)
        if at_work:
            yield State.OK, "a run is at work on this feed"
        for delivery in left:
            state = State.OK if at_work else State.WARNING
            since = f"claimed {delivery.claimed_at:%Y-%m-%d %H:%M}Z, {delivery.stage.value} so far"
            yield state, f"dt={delivery.day} is open ({since}); {'' if at_work else 'the next '}run goes on with it"
        if not left:
            yield State.OK, "all that were begun are finished"

    def callbacks(self) -> Iterator[Remark]:
        """Callbacks that the status endpoint has not taken yet."""
        self._must_have_ledger()
        known = self._ledger.callbacks(self._settings.feed) if self._is_there else []
        waiting = sorted((each for each in known if each.state == "waiting"), key=lambda each: each.next_attempt_at)
        if not waiting:
            yield State.OK, "none waits to be received"
            return
        tries = f"tries of the next one so far: {waiting[0].attempts}"
        if answer := waiting[0].last_answer.rstrip("."):
            tries += f"; {answer}"
        yield State.WARNING, f"waiting to be received: {len(waiting)}; {tries}"

    def _must_be_reachable(self) -> None:
        if not self._is_reachable:
            raise NotChecked("the store cannot be used, see store")

    def _must_have_ledger(self) -> None:
        self._must_be_reachable()
        if self._is_there and not self._is_current:
            raise NotChecked("the ledger is of another version, see tables")

    def _try_to_make(self) -> list[str]:
        """See whether tables may be made."""
        with self._store.rehearsal() as tx:
            tx.lock_schema()
            tx.execute("CREATE TABLE px_import_doctor (x BIGINT)")
            tx.execute("CREATE TEMPORARY TABLE px_import_doctor_too (x BIGINT)")
        return []

    def _refused(self) -> list[str]:
        """What may not be done in the tables, tried on no row at all."""
        refused = []
        for what, sql in self._trials():
            try:
                with self._store.rehearsal() as tx:
                    tx.execute(sql)
            except AccessRefused as error:
                if error.action != "use":
                    raise
                refused.append(what)
        return refused

    def _trials(self) -> Iterator[tuple[str, str]]:
        """Every right with a statement that takes it and touches nothing."""
        # every name below is a constant
        yield "temporary tables", "CREATE TEMPORARY TABLE px_import_doctor (x BIGINT)"
        for table, (column, rights) in _LEDGER.items():
            statements = {
                "INSERT": f"INSERT INTO {table} SELECT * FROM {table} WHERE 1 = 0",  # noqa: S608
                "UPDATE": f"UPDATE {table} SET {column} = {column} WHERE 1 = 0",  # noqa: S608
                "DELETE": f"DELETE FROM {table} WHERE 1 = 0",  # noqa: S608
            }
            if self._store.has(table):
                yield from ((f"{right} on {table}", statements[right]) for right in rights)
        records, products = _RECORDS[self._settings.entity]
        for table in (records, products):
            if self._store.has(table):
                yield f"INSERT on {table}", f"INSERT INTO {table} SELECT * FROM {table} WHERE 1 = 0"  # noqa: S608
        if self._store.has(records):
            yield f"UPDATE on {records}", f"UPDATE {records} SET id = id WHERE 1 = 0"  # noqa: S608
