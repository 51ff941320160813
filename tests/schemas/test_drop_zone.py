"""The layout of the bucket: what a listing of `current/` means."""

import random
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from schemas.drop_zone import (
    LARGEST_OBJECT,
    MOST_OBJECTS,
    DropZone,
    Folder,
    NotReady,
    ObjectKind,
    StoredObject,
    Survey,
    archived_names,
    kind_of,
    survey,
)

ZONE = DropZone("bucket", "export/users")
NOON = datetime(2021, 2, 28, 12, tzinfo=UTC)


def stored(*names: str, zone: DropZone = ZONE, size: int = 1) -> list[StoredObject]:
    """Objects of these names below `current/`; markers and folder markers have no bytes."""
    return [
        StoredObject(zone.current_prefix + name, "e", 0 if name.endswith(("/", "_SUCCESS")) else size, NOON)
        for name in names
    ]


def ready(*names: str) -> list[str]:
    return [folder.day for folder in survey(ZONE, stored(*names)).ready]


# --- settings to prefix ---


@pytest.mark.rule("S2")
@pytest.mark.parametrize(
    ("bucket", "base_folder", "name", "current"),
    [
        ("ABC123", "", "ABC123", "current/"),
        ("ABC123/export", "", "ABC123", "export/current/"),
        ("ABC123/export", "users", "ABC123", "export/users/current/"),
        ("/ABC123//export/", "//users///daily/", "ABC123", "export/users/daily/current/"),
        ("ABC123", "/", "ABC123", "current/"),
        ("ABC123", "a b/ü", "ABC123", "a b/ü/current/"),
    ],
)
def test_bucket_and_base_folder_join_and_stray_slashes_do_not_matter(
    bucket: str, base_folder: str, name: str, current: str
) -> None:
    zone = DropZone.parse(bucket, base_folder)
    assert (zone.bucket, zone.current_prefix) == (name, current)
    assert zone.processed_prefix == current.removesuffix("current/") + "processed/"


@pytest.mark.rule("P1")
@pytest.mark.rule("P2")
def test_the_names_of_the_folders() -> None:
    assert ZONE.folder_prefix("20210228") == "export/users/current/dt=20210228/"
    assert ZONE.processed_folder("20210228") == "export/users/processed/20210228"
    assert ZONE.processed_folder("20210228", 2) == "export/users/processed/20210228.2"
    assert DropZone("b", "").processed_folder("20210228", 1) == "processed/20210228.1"
    assert ZONE.url(ZONE.processed_folder("20210228")) == "s3://bucket/export/users/processed/20210228"


# --- which folders are ready ---


@pytest.mark.rule("D1")
@pytest.mark.rule("D5")
@pytest.mark.parametrize(
    ("names", "why_not"),
    [
        pytest.param(["_SUCCESS", "users.csv.gz"], "", id="ready"),
        pytest.param(["users.csv.gz"], "no _SUCCESS yet", id="no marker"),
        pytest.param(["_success", "users.csv.gz"], "no _SUCCESS yet", id="marker in another case"),
        pytest.param(["_SUCCESS.txt", "users.csv.gz"], "no _SUCCESS yet", id="marker with a suffix"),
        pytest.param(["deeper/_SUCCESS", "users.csv.gz"], "no _SUCCESS yet", id="marker below"),
        pytest.param(["_SUCCESS"], "_SUCCESS is there, but no .csv.gz file yet", id="no file"),
        pytest.param(["_SUCCESS", "users.csv"], "_SUCCESS is there, but no .csv.gz file yet", id="no input file"),
        pytest.param(["_SUCCESS", "_x.csv.gz"], "_SUCCESS is there, but no .csv.gz file yet", id="bookkeeping alone"),
        pytest.param(["_SUCCESS", "deeper/users.csv.gz"], "_SUCCESS is there, but no .csv.gz file yet", id="below"),
    ],
)
def test_a_folder_is_ready_with_its_marker_and_an_input_file(names: list[str], why_not: str) -> None:
    seen = survey(ZONE, stored(*(f"dt=20210228/{name}" for name in names)))
    [folder] = seen.ready + seen.waiting
    assert folder.why_not_ready == why_not
    assert bool(seen.ready) == (why_not == "")
    assert seen.strangers == ()


@pytest.mark.rule("D2")
@pytest.mark.parametrize(
    "name",
    [
        *(
            "dt=20210230",
            "dt=20211301",
            "dt=00000101",
            "dt=20210229",
            "dt=2021028",
            "dt=202102281",
            "dt=",
            "dt=2021-02-28",
        ),
        *(
            "20210228",
            "DT=20210228",
            "dt=20210228 ",
            " dt=20210228",
            "dt=２０２１０２２８",
            "dt=20210228.1",
            "tmp",
            "dt=2021022x",
        ),
    ],
)
def test_any_other_folder_is_left_alone_and_named_once(name: str) -> None:
    seen = survey(ZONE, stored(f"{name}/_SUCCESS", f"{name}/users.csv.gz", f"{name}/deeper/x"))
    assert (seen.ready, seen.waiting, seen.strangers) == ((), (), (f"{name}/",))


@pytest.mark.rule("D2")
def test_other_things_directly_in_current_are_named() -> None:
    names = [
        "",
        "users.csv.gz",
        "_SUCCESS",
        "dt=20210228",
        "/lost",
        "tmp/",
        "dt=20240229/_SUCCESS",
        "dt=20240229/a.csv.gz",
    ]
    seen = survey(ZONE, stored(*names))
    assert [folder.day for folder in seen.ready] == ["20240229"]
    assert seen.strangers == ("/", "_SUCCESS", "dt=20210228", "tmp/", "users.csv.gz")


@pytest.mark.rule("D2")
def test_a_folder_of_a_consoles_marker_alone_is_as_good_as_absent() -> None:
    seen = survey(ZONE, stored("dt=20210228/", "dt=20210301/deeper/"))
    assert (seen.ready, seen.waiting, seen.strangers) == ((), (), ())


@pytest.mark.rule("D4")
def test_folders_come_oldest_first_and_files_in_byte_order() -> None:
    names = [f"dt={day}/{name}" for day in ("20210301", "20200229", "19991231") for name in ("_SUCCESS", "u.csv.gz")]
    files = [
        "Z.csv.gz",
        "a.csv.gz",
        "a-1.csv.gz",
        "a.1.csv.gz",
        "é.csv.gz",
        "10.csv.gz",
        "9.csv.gz",
        "\uffff.csv.gz",
        "😀.csv.gz",
    ]
    objects = stored(*names, *(f"dt=20210301/{name}" for name in files))
    random.Random(1).shuffle(objects)
    seen = survey(ZONE, objects)
    assert [folder.day for folder in seen.ready] == ["19991231", "20200229", "20210301"]
    last = seen.ready[-1]
    inputs = [last.name_of(each) for each in last.of_kind(ObjectKind.INPUT)]
    assert inputs == sorted([*files, "u.csv.gz"], key=str.encode)


# --- what an object is there for ---


@pytest.mark.rule("D3")
@pytest.mark.parametrize(
    ("name", "size", "kind"),
    [
        ("_SUCCESS", 0, ObjectKind.MARKER),
        ("_SUCCESS", 5, ObjectKind.MARKER),
        ("users.csv.gz", 1, ObjectKind.INPUT),
        ("users.csv.gz", 0, ObjectKind.INPUT),
        ("anything at all, ü\n.csv.gz", 1, ObjectKind.INPUT),
        ("a.csv.csv.gz", 1, ObjectKind.INPUT),
        ("_started_123", 0, ObjectKind.BOOKKEEPING),
        ("_committed_1.csv.gz", 9, ObjectKind.BOOKKEEPING),
        (".csv.gz", 9, ObjectKind.BOOKKEEPING),
        (".users.csv.gz.crc", 9, ObjectKind.BOOKKEEPING),
        ("_spark_metadata/0", 9, ObjectKind.BOOKKEEPING),
        ("_temporary/0/users.csv.gz", 9, ObjectKind.BOOKKEEPING),
        (".hidden/a", 9, ObjectKind.BOOKKEEPING),
        ("users.csv", 9, ObjectKind.UNSUPPORTED),
        ("users.CSV.GZ", 9, ObjectKind.UNSUPPORTED),
        ("users.csv.gz.part", 9, ObjectKind.UNSUPPORTED),
        ("status.txt", 9, ObjectKind.UNSUPPORTED),
        ("deeper/users.csv.gz", 9, ObjectKind.UNSUPPORTED),
        ("deeper/_SUCCESS", 0, ObjectKind.UNSUPPORTED),
        ("deeper/", 9, ObjectKind.UNSUPPORTED),
        ("", 0, ObjectKind.PLACEHOLDER),
        ("deeper/", 0, ObjectKind.PLACEHOLDER),
        ("deeper/deepest/", 0, ObjectKind.PLACEHOLDER),
    ],
)
def test_the_kind_of_an_object(name: str, size: int, kind: ObjectKind) -> None:
    assert kind_of(name, size) is kind


@pytest.mark.rule("D3")
def test_a_folder_sorts_its_objects_by_kind() -> None:
    names = ["", "_SUCCESS", "_x", "a.csv.gz", "b/", "b/c", "d.txt"]
    folder = Folder("20210228", ZONE.folder_prefix("20210228"), tuple(stored(*(f"dt=20210228/{n}" for n in names))))
    found = {kind: [folder.name_of(each) for each in folder.of_kind(kind)] for kind in ObjectKind}
    assert found == {
        ObjectKind.MARKER: ["_SUCCESS"],
        ObjectKind.INPUT: ["a.csv.gz"],
        ObjectKind.BOOKKEEPING: ["_x"],
        ObjectKind.UNSUPPORTED: ["b/c", "d.txt"],
        ObjectKind.PLACEHOLDER: ["", "b/"],
    }
    assert folder.marker
    assert folder.marker.key == "export/users/current/dt=20210228/_SUCCESS"


@pytest.mark.rule("P1")
@pytest.mark.parametrize(
    ("name", "archived"),
    [
        ("users.csv.gz", "users.csv.gz"),
        ("_SUCCESS", "_SUCCESS"),
        ("status.txt", "status.txt.received"),
        ("status.json", "status.json.received"),
        ("errors.csv", "errors.csv.received"),
        ("deeper/status.txt", "deeper/status.txt"),
    ],
)
def test_what_has_the_name_of_a_status_file_makes_way(name: str, archived: str) -> None:
    assert archived_names([name]) == {name: archived}


@pytest.mark.rule("P2")
def test_names_in_the_archive_are_never_the_same() -> None:
    names = ["status.txt", "status.txt.received", "status.txt.received.2", "errors.csv"]
    archived = archived_names(names)
    assert archived["status.txt"] == "status.txt.received.3"
    assert len({*archived.values()}) == len(names)


@pytest.mark.rule("D5")
def test_a_folder_of_too_many_objects_waits_and_does_not_fill_the_memory() -> None:
    marker, *many = stored("dt=20210228/_SUCCESS", *(f"dt=20210228/{n:06d}.csv.gz" for n in range(3 * MOST_OBJECTS)))
    seen = survey(ZONE, [marker, *many])
    [folder] = seen.waiting
    assert (seen.ready, folder.why_not_ready) == ((), "more than 10000 objects; deliver fewer files")
    assert len(folder.objects) == MOST_OBJECTS + 1
    [folder] = survey(ZONE, [marker, *many[: MOST_OBJECTS - 1]]).ready
    assert len(folder.objects) == MOST_OBJECTS


@pytest.mark.rule("D5")
def test_an_object_too_large_for_the_archive_keeps_its_folder_waiting() -> None:
    marker, data, largest = stored("dt=20210228/_SUCCESS", "dt=20210228/a.csv.gz", "dt=20210228/b", size=LARGEST_OBJECT)
    assert [folder.not_ready for folder in survey(ZONE, [marker, data, largest]).ready] == [None]
    [folder] = survey(ZONE, [marker, data, replace(largest, size_bytes=LARGEST_OBJECT + 1)]).waiting
    assert folder.not_ready is NotReady.OBJECT_TOO_LARGE
    assert folder.why_not_ready == (
        "'b' has more than 5,368,709,120 bytes, which S3 does not copy to the archive at once; split or remove it"
    )


def test_a_million_strangers_are_counted_and_few_are_kept():
    """Memory does not grow with them (rule D2)."""

    def peak(count: int) -> tuple[Survey, int]:
        listed = (StoredObject(f"current/{number:07d}{'x' * 800}", "e", 1, NOON) for number in range(count))
        tracemalloc.start()
        try:
            return survey(DropZone.parse("b", ""), listed), tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    (few, small), (many, large) = peak(1_000), peak(30_000)
    assert (len(many.strangers), many.more_strangers) == (20, 29_980)
    assert many.strangers == few.strangers
    assert large < 2 * small
