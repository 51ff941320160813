"""Date formats against java.time's own answers, Python's calendar, and arbitrary cells."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.date_format import DateFormat

pytestmark = pytest.mark.rule("V6")

CASES = Path(__file__).parent / "date_oracle" / "cases.tsv"
YEAR_1, YEAR_10000 = -62_135_596_800_000, 253_402_300_800_000

Answer = int | str


def read(pattern: str, *cells: str) -> list[Answer | None]:
    """Milliseconds of each cell, 'invalid', or None for a blank one."""
    valid, instants = DateFormat.compile(pattern).parse(pa.array(cells, pa.string()))
    milliseconds = instants.cast(pa.int64()).to_pylist()
    return [time if ok else "invalid" for ok, time in zip(valid.to_pylist(), milliseconds, strict=True)]


def at(*parts: int, zone: timezone = UTC) -> int:
    """Milliseconds since 1970, the last of eight parts in milliseconds."""
    return round((datetime(*parts, tzinfo=zone) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))


# --- java.time ---


def oracle() -> dict[str, list[tuple[str, Answer]]]:
    """Cells and java.time's answer, by pattern; see date_oracle/questions.py."""

    def plain(text: str) -> str:
        return re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), text)

    cases: dict[str, list[tuple[str, Answer]]] = {}
    for line in CASES.read_text(encoding="ascii").splitlines():
        pattern, cell, answer = line.split("\t")
        milliseconds = answer if answer in ("invalid", "refused") else int(answer)
        cases.setdefault(plain(pattern), []).append((plain(cell), milliseconds))
    return cases


JAVA = oracle()

#: Patterns that Java takes and we refuse when the settings are saved, and why.
REFUSED_BY_US = {
    "yyyyMd": "in Java no cell fits it: M takes all digits",
    "yyyy-MM-dd'T'HH:mmZZZZ": "a localized form, GMT+8",
    "yyyy MMMM": "names no day",
    "MM/dd": "names no year",
    "HH:mm": "names no day",
    "yyyymmdd": "mm is minutes",
    "yyyy-MM-dd hh:mm": "Java drops a time that lacks AM or PM",
    "yyyy-MM-dd a": "Java drops a time that lacks an hour",
    "yyyy-MM-dd ss": "Java drops a time that lacks an hour",
    "yyyy-MM-dd HH:MM": "MM is the month twice; minutes were meant",
    "yyyy-MM-dd[ HH]": "optional sections",
    "yyyyMMMMMdd": "J may be January, June or July",
    "YYYY-'W'ww-e": "week letters",
    "yyyyy-MM-dd": "no store holds years beyond 9999",
    "yyyy-MM-dd HHXz": "names the zone twice",
}

#: Why a cell's answer differs from Java's on purpose, and which cells that is: pattern, cell, Java's and our answer.
DIFFERENCES: dict[str, Callable[[str, str, Answer, Answer], bool]] = {
    "instants before the year 1 or after 9999 fit no store": lambda pattern, cell, java, ours: (
        isinstance(java, int) and not YEAR_1 <= java < YEAR_10000 and ours == "invalid"
    ),
    "X takes every form of offset": lambda pattern, cell, java, ours: (
        "X" in pattern
        and java == "invalid"
        and isinstance(ours, int)
        and re.search(r"[+-]\d\d(:?\d\d)?$", cell) is not None
    ),
    "x takes +0000 as it takes +0100": lambda pattern, cell, java, ours: (
        pattern.endswith("mmx") and cell.endswith("+0000") and ours == at(2021, 6, 25, 13, 55)
    ),
    "no offset has seconds": lambda pattern, cell, java, ours: (
        re.search(r"\+01:?00:?00$", cell) is not None and ours == "invalid"
    ),
    "z takes the names of UTC only": lambda pattern, cell, java, ours: (
        pattern.endswith("z") and re.search(r"\d(Z|UTC|GMT|UT)$", cell) is None and ours == "invalid"
    ),
    "digits behind M or DD are counted from the end where Java gives up": lambda pattern, cell, java, ours: (
        pattern in ("Mddyyyy", "yyyyDD") and java == "invalid" and isinstance(ours, int)
    ),
    "one Q is one digit": lambda pattern, cell, java, ours: pattern.endswith(" Q") and cell.endswith(" 01"),
    "Y is the calendar year and D beside a month its day": lambda pattern, cell, java, ours: (
        pattern in ("YYYYMMDD", "YYYY-MM-dd") and ours == at(2021, 12, 25)
    ),
}


def differences(pattern: str) -> list[tuple[str, Answer, Answer]]:
    """Where our answer to a pattern's cells is not Java's: cell, Java's and ours."""
    cells = [cell for cell, _ in JAVA[pattern]]
    answers = zip(JAVA[pattern], read(pattern, *cells), strict=True)
    return [(cell, java, ours) for (cell, java), ours in answers if java != ours]


def java_takes(pattern: str) -> bool:
    """Whether Java takes the pattern for one."""
    return all(answer != "refused" for _, answer in JAVA[pattern])


@pytest.mark.parametrize("pattern", [p for p in JAVA if java_takes(p) and p not in REFUSED_BY_US])
def test_reads_as_java_does_but_for_the_named_differences(pattern):
    unexplained = [
        (cell, java, ours)
        for cell, java, ours in differences(pattern)
        if not any(explains(pattern, cell, java, ours) for explains in DIFFERENCES.values())
    ]
    assert unexplained == []


@pytest.mark.parametrize("name", DIFFERENCES)
def test_each_named_difference_exists(name):
    patterns = [p for p in JAVA if java_takes(p) and p not in REFUSED_BY_US]
    assert any(DIFFERENCES[name](p, *difference) for p in patterns for difference in differences(p))


@pytest.mark.parametrize("pattern", [*(p for p in JAVA if not java_takes(p)), *REFUSED_BY_US])
def test_refuses_what_java_refuses_and_what_reads_no_sensible_column(pattern):
    with pytest.raises(ValueError, match=r"\S"):
        DateFormat.compile(pattern)


def test_the_oracle_has_enough_cases_of_both_kinds():
    answers = [answer for cases in JAVA.values() for _, answer in cases]
    assert sum(isinstance(answer, int) for answer in answers) > 500
    assert answers.count("invalid") > 1000


# --- patterns ---


@pytest.mark.parametrize(
    ("pattern", "sentence", "caret"),
    [
        ("yyyymmdd", "'mm' is minutes and there is no month: write 'MM' for months", 4),
        ("yyyy-mm-dd", "'mm' is minutes and there is no month: write 'MM' for months", 5),
        ("yyyy-mm-DD", "'mm' is minutes and needs an hour: write 'HH', or 'MM' for months", 5),
        ("yyyy-MM-dd HH:MM", "'MM' names the month a second time; minutes are 'mm'", 14),
        ("yyyy-MM-dd hh:mm", "'hh' counts to 12 and needs 'a' for AM or PM; 'HH' counts to 23", 11),
        ("yyyy-MM-dd a", "'a' is AM or PM and needs an hour: write 'hh'", 11),
        ("yyyy-MM-dd HH:ss", "'ss' is seconds and needs minutes: write 'mm'", 14),
        ("yyyy-MM-dd HH:mm.SSS", "'SSS' is a fraction of a second and needs seconds: write 'ss'", 17),
        ("yyyy-MM-ddTHH", "'T' is no letter of a date; text stands in quotes, like 'T'", 10),
        ("YYYY-'W'ww", "'ww' counts weeks or their days; write a date with year, month and day", 8),
        ("yyyyy-MM-dd", "'yyyyy' is no form of 'y'; write y or yy or yyy or yyyy", 0),
        ("yyyy-MM-dd'T", "this quote is never closed; a single quote as such is written ''", 10),
        ("yyyy-MM-dd[ HH]", "'[' has no meaning here; text stands in quotes, like '['", 10),
        ("yyyyMd", "nothing tells where 'M' ends, as digits follow; put a character between", 4),
        ("yyyy-M-d'5'", "nothing tells where 'd' ends, as digits follow; put a character between", 7),
        ("XyyyyMMdd", "nothing tells where 'X' ends, as digits follow; put a character between", 0),
        ("yyyy-MM-dd DDD", "'DDD' is the day of the year and needs no other: days of a month are 'dd'", 11),
        ("MM/dd", "there is no year: write 'yyyy'", 5),
        ("yyyy/dd", "there is no month: write 'MM'", 7),
        ("yyyyMM", "there is no day: write 'dd'", 6),
        ("", "there is no year: write 'yyyy'", 0),
        ("yyyyMMdd'" + "x" * 99 + "'", "a date format has at most 100 characters", 100),
    ],
)
def test_a_pattern_that_is_refused_says_why_and_where(pattern, sentence, caret):
    with pytest.raises(ValueError, match=r"\S") as refused:
        DateFormat.compile(pattern)
    assert str(refused.value) == f"{sentence}\n    {pattern}\n    {' ' * caret}^"


def test_a_control_character_in_a_pattern_is_refused_and_not_printed():
    with pytest.raises(ValueError, match=r"no control characters\n    yyyy\?MMdd\n {8}\^"):
        DateFormat.compile("yyyy\nMMdd")


@pytest.mark.parametrize(
    ("pattern", "meant", "meanings"),
    [
        ("YYYYMMDD", "yyyyMMdd", "calendar year and day of the month"),
        ("YYYY-MM-DD", "yyyy-MM-dd", "calendar year and day of the month"),
        ("YYYY-MM-dd", "yyyy-MM-dd", "calendar year"),
        ("YYYY-DDD", "yyyy-DDD", "calendar year"),
        ("yyyy-MM-DD", "yyyy-MM-dd", "day of the month"),
        ("D/M/YY", "d/M/yy", "calendar year and day of the month"),
        ("'YYYY' YYYY-MM-DD", "'YYYY' yyyy-MM-dd", "calendar year and day of the month"),
    ],
)
def test_week_year_and_day_of_year_are_read_as_calendar_letters_with_a_note(pattern, meant, meanings):
    compiled, plain = DateFormat.compile(pattern), DateFormat.compile(meant)
    assert compiled.note == f"{pattern!r} is read as {meant!r}: {meanings}."
    assert compiled.pattern == pattern
    assert [*map(str.lower, compiled.samples())] == [*map(str.lower, plain.samples())]
    assert plain.note == ""


def test_a_day_of_the_year_stays_one_where_no_month_stands():
    assert DateFormat.compile("yyyy-DDD").note == ""
    assert read("yyyyDDD", "2020366") == [at(2020, 12, 31)]


@pytest.mark.parametrize(
    ("pattern", "samples"),
    [
        ("yyyyMMdd", ("20211225", "20240605")),
        ("M/d/yyyy", ("12/25/2021", "6/5/2024")),
        ("yyyy-MM-dd'T'HH:mm:ss.SSSX", ("2021-12-25T13:55:42.120Z", "2024-06-05T09:07:03.045+01:00")),
        ("EEE, d MMM yy h:mm a z", ("Sat, 25 Dec 21 1:55 PM UTC", "Wed, 5 Jun 24 9:07 AM UTC")),
        ("G yyyy QQQ MMMM d kk:mm Z", ("AD 2021 Q4 December 25 13:55 +0000", "AD 2024 Q2 June 5 09:07 +0100")),
    ],
)
def test_samples_show_what_the_format_looks_like(pattern, samples):
    assert DateFormat.compile(pattern).samples() == samples
    assert "invalid" not in read(pattern, *samples)


def compiled_or_refusal(pattern: str) -> DateFormat | str:
    """The compiled pattern, or why there is none."""
    try:
        return DateFormat.compile(pattern)
    except ValueError as refused:
        return str(refused)


@given(st.text("yuYMLdDHhKkmsSaEGQZXxzwTp'-:/ .[5é", max_size=14) | st.text(max_size=8))
def test_a_pattern_either_compiles_and_reads_its_own_samples_or_is_refused_in_a_sentence(pattern):
    compiled = compiled_or_refusal(pattern)
    if isinstance(compiled, str):
        assert len(compiled.splitlines()) == 3
    else:
        assert "invalid" not in read(pattern, *compiled.samples())


@given(
    st.sampled_from(["yyyy", "yy", "y", "u", "YYYY"]),
    st.sampled_from(["MM", "M", "MMM", "LLLL"]),
    st.sampled_from(["dd", "d"]),
    st.sampled_from(["", " HH:mm", " h:mm a", " kk:mm:ss.SSSS", "'T'HHX", " HH XXX", " z EEEE", " Q G"]),
    st.permutations([0, 1, 2]),
    st.sampled_from(["-", "/", ". ", "'de'", "''", "日"]),
)
def test_any_sensible_pattern_reads_its_own_samples(year, month, day, rest, order, separator):
    pattern = separator.join([year, month, day][place] for place in order) + rest
    first, second = read(pattern, *DateFormat.compile(pattern).samples())
    assert [t // 86_400_000 for t in (first, second)] == [at(2021, 12, 25) // 86_400_000, at(2024, 6, 5) // 86_400_000]


# --- cells ---


@pytest.mark.rule("V1")
@pytest.mark.rule("V2")
def test_an_empty_cell_is_blank_and_a_space_is_not():
    assert read("yyyyMMdd", "", " ", "20211225", "20211225 ", "NA") == [
        None, "invalid", at(2021, 12, 25), "invalid", "invalid",
    ]  # fmt: skip


def test_a_fraction_is_cut_to_milliseconds():
    assert read("yyyy-MM-dd HH:mm:ss.SSSSSS", "2021-12-25 00:00:00.999999") == [at(2021, 12, 25, 0, 0, 0, 999_000)]
    assert read("yyyy-MM-dd HH:mm:ss.S", "1969-12-31 23:59:59.9") == [-100]


def test_an_offset_may_not_carry_an_instant_out_of_the_years_that_stores_hold():
    cells = ["0001-01-01T00:00+00:01", "0001-01-01T00:00Z", "9999-12-31T23:59Z", "9999-12-31T23:59-00:01"]
    assert read("yyyy-MM-dd'T'HH:mmX", *cells) == ["invalid", YEAR_1, YEAR_10000 - 60_000, "invalid"]


def test_the_result_is_flags_without_nulls_and_instants_in_utc():
    valid, instants = DateFormat.compile("yyyyMMdd").parse(pa.array(["20211225", "", "x"]))
    assert (valid.type, valid.null_count, valid.to_pylist()) == (pa.bool_(), 0, [True, True, False])
    assert (instants.type, instants.null_count) == (pa.timestamp("ms", tz="UTC"), 2)
    assert instants[0].as_py() == datetime(2021, 12, 25, tzinfo=UTC)


CELLS = ["2/3/2021", "", "12/31/2021", "13/1/2021", "1/1/20211", "1/1/202"]


@pytest.mark.parametrize(
    "cells",
    [
        pytest.param(pa.array(["5/5/2025", *CELLS, "5"]).slice(1, len(CELLS)), id="a slice"),
        pytest.param(pa.chunked_array([CELLS[:2], [], CELLS[2:]]), id="chunks"),
        pytest.param(pa.array(CELLS, pa.large_string()).slice(0), id="large strings"),
        pytest.param(pa.array(["5/5/2025", *CELLS], pa.large_string()).slice(1), id="a slice of large strings"),
        pytest.param(pa.array(CELLS, pa.string_view()), id="string views"),
    ],
)
def test_cells_may_come_in_any_layout_of_strings(cells):
    valid, instants = DateFormat.compile("M/d/yyyy").parse(cells)
    assert valid.to_pylist() == [True, True, True, False, False, False]
    assert instants.cast(pa.int64()).to_pylist() == [at(2021, 2, 3), None, at(2021, 12, 31), None, None, None]


@pytest.mark.parametrize(
    "cells", [pa.array([], pa.string()), pa.chunked_array([], pa.string())], ids=["none", "no chunk"]
)
def test_a_column_without_cells_gives_none(cells):
    valid, instants = DateFormat.compile("yyyyMMdd").parse(cells)
    assert (len(valid), len(instants)) == (0, 0)


def test_a_column_longer_than_one_block_reads_as_its_cells_do():
    pattern, times = "M/d/yyyy", 12_000
    assert read(pattern, *(CELLS * times)) == read(pattern, *CELLS) * times


def test_a_cell_of_megabytes_is_invalid_and_its_neighbours_are_not():
    assert read("yyyyMMdd", "20211225", "2" * 5_000_000, "20211225") == [at(2021, 12, 25), "invalid", at(2021, 12, 25)]


@pytest.mark.rule("F5")
@pytest.mark.parametrize("pattern", ["yyyyMMdd", "yyyy-MM-dd'T'HH:mm:ssX", "EEEE, MMMM d, yyyy"])
def test_a_column_of_faults_costs_at_most_twice_a_valid_one(pattern):
    compiled = DateFormat.compile(pattern)
    samples = compiled.samples()
    valid = pa.array([*samples] * 100_000)
    faulty = pa.array([sample[:-1] + "!" for sample in samples] * 100_000)

    def seconds(column: pa.Array) -> float:
        start = time.process_time()
        compiled.parse(column)
        return time.process_time() - start

    rounds = [(seconds(valid), seconds(faulty)) for _ in range(9)]
    assert min(faulty for _, faulty in rounds) < 2 * min(valid for valid, _ in rounds)


# --- properties ---

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Two days from the ends, so that no offset leads out of the years that Python knows.
instants = st.integers(2 * 86_400 * 10**6, 3_652_057 * 86_400 * 10**6).map(
    lambda microseconds: datetime(1, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
)
zones = st.integers(-18 * 60, 18 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))

#: How Python writes what a pattern reads, and the part of an instant that it keeps.
WRITERS: dict[str, tuple[Callable[[datetime], str], str]] = {
    "yyyyMMdd": (lambda t: f"{t.year:04}{t:%m%d}", "day"),
    "yyyy-MM-dd": (lambda t: t.date().isoformat(), "day"),
    "M/d/yyyy": (lambda t: f"{t.month}/{t.day}/{t.year:04}", "day"),
    "MMMMd, y": (lambda t: f"{t:%B}{t.day}, {t.year}", "day"),
    "yMMdd": (lambda t: f"{t.year}{t:%m%d}", "day"),
    "dMMyyyy": (lambda t: f"{t.day}{t:%m}{t.year:04}", "day"),
    "EEE dd-MMM-yyyy": (lambda t: f"{t:%a %d-%b}-{t.year:04}", "day"),
    "EEEE D/yyyy": (lambda t: f"{t:%A} {int(f'{t:%j}')}/{t.year:04}", "day"),
    "yyyyDDD HH:mm:ss": (lambda t: f"{t.year:04}{t:%j %H:%M:%S}", "second"),
    "yyyy-MM-dd hh:mm:ss a": (lambda t: f"{t.date()} {t:%I:%M:%S %p}", "second"),
    "yyyy-MM-dd K:m:s.SSS a": (
        lambda t: f"{t.date()} {t.hour % 12}:{t.minute}:{t.second}.{t.microsecond // 1000:03} {t:%p}",
        "millisecond",
    ),
    "yyyy-MM-dd'T'HH:mm:ss.SSSSSS": (
        lambda t: t.replace(tzinfo=None).isoformat(timespec="microseconds"),
        "millisecond",
    ),
}
KEPT = {"day": {"hour": 0, "minute": 0, "second": 0, "microsecond": 0}, "second": {"microsecond": 0}, "millisecond": {}}


@pytest.mark.parametrize("pattern", WRITERS)
@given(times=st.lists(instants, min_size=1, max_size=20))
def test_reads_what_python_writes(pattern, times):
    write, kept = WRITERS[pattern]
    expected = [(t.replace(**KEPT[kept]) - EPOCH) // timedelta(milliseconds=1) for t in times]
    assert read(pattern, *map(write, times)) == expected


@given(st.lists(st.tuples(instants, zones, st.booleans()), min_size=1, max_size=20))
def test_reads_offsets_that_python_writes(times):
    cells = []
    for t, zone, colon in times:
        cell = t.astimezone(zone).isoformat(timespec="seconds")
        cells.append(cell if colon else cell[:-3] + cell[-2:])
    expected = [(t.replace(microsecond=0) - EPOCH) // timedelta(milliseconds=1) for t, _, _ in times]
    assert read("yyyy-MM-dd'T'HH:mm:ssX", *cells) == expected


almost_dates = st.builds("{}-{}-{}".format, *[st.integers(0, 40).map("{:02}".format)] * 3) | st.builds(
    "{:04}-{:02}-{:02}".format, st.integers(0, 2030), st.integers(0, 13), st.integers(0, 32)
)
cells_of_any_kind = almost_dates | st.text("0123456789-/ ٣\0", max_size=12) | st.text(max_size=12)


@given(st.lists(cells_of_any_kind, max_size=20))
def test_takes_exactly_the_dates_that_python_knows(cells):
    def python(cell: str) -> Answer | None:
        if not cell:
            return None
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", cell):
            return "invalid"
        try:
            return at(*map(int, cell.split("-")))
        except ValueError:
            return "invalid"

    assert read("yyyy-MM-dd", *cells) == [python(cell) for cell in cells]


@given(
    st.sampled_from(["M/d/y", "yyyy-M-d H:m:s.SS", "MMMMd, y", "yMMdd", "y-M-d h:m a XXX", "d.M.yy z"]),
    st.lists(st.text("0123456789/-.:, AMPZ+UTCGMay", max_size=16), max_size=12),
)
def test_a_cell_reads_the_same_alone_as_among_others(pattern, cells):
    cells = [*cells, *DateFormat.compile(pattern).samples()]
    assert read(pattern, *cells) == [answer for cell in cells for answer in read(pattern, cell)]
