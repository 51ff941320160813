"""The memory of an import does not grow with the length of its file."""

import sys
from collections.abc import Iterator

import pytest

from deployments.local_postgres import LocalPostgres
from deployments.local_s3 import LocalS3
from deployments.receiver import Receiver
from tests.bench.contestants import Delivery, Importer
from tests.bench.files import LAYOUTS
from tests.bench.ground import BUCKET, POSTGRESQL, SQLITE, Ground
from tests.bench.processes import NO_HYPOTHESIS, Server, cost_of

LAYOUT = LAYOUTS["12 columns"]
ROWS = 100_000
#: What SQLite keeps of its file, see `blocks.sqlite_store`: that much is wanted.
CACHE_MIB = {SQLITE: 64, POSTGRESQL: 0}


@pytest.fixture(scope="module")
def ground(
    local_s3: LocalS3, local_postgres: LocalPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ground]:
    local_s3.create_bucket(BUCKET)
    with Receiver() as receiver:
        folder = tmp_path_factory.mktemp("bench")
        yield Ground(folder, local_s3, local_postgres, receiver, Server.of(local_postgres.url))


@pytest.mark.timeout(600)  # on a busy machine
@pytest.mark.parametrize("database", [SQLITE, POSTGRESQL])
def test_a_file_four_times_as_long_needs_no_more_memory(ground: Ground, database: str) -> None:
    peaks = []
    for rows in (ROWS, 4 * ROWS):
        with ground.place(database) as place:
            delivery = Delivery(ground.file(LAYOUT, rows=rows), "", LAYOUT, "20210228")
            importer = Importer(database, others={"limits": {"max_rows": rows}})
            peaks.append(importer.load(ground, place, delivery).cost.peak_mib)
    assert peaks[1] - peaks[0] < CACHE_MIB[database] + 24


def test_an_import_holds_little_beside_the_libraries(ground: Ground) -> None:
    libraries = "import flows.import_feed, boto3, pandera.pandas, psycopg, pyarrow.csv"
    bare = cost_of([sys.executable, "-c", NO_HYPOTHESIS + libraries])
    with ground.place(POSTGRESQL) as place:
        delivery = Delivery(ground.file(LAYOUT, rows=ROWS), "", LAYOUT, "20210228")
        cost = Importer(POSTGRESQL).load(ground, place, delivery).cost
    assert cost.peak_mib - bare.peak_mib < 150
