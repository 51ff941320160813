"""The questions put to java.time; a pattern and a cell a line, `\\uXXXX` for anything but printable ASCII.

python tests/schemas/date_oracle/questions.py > questions.tsv
java tests/schemas/date_oracle/DateOracle.java questions.tsv > tests/schemas/date_oracle/cases.tsv
"""

import calendar
from collections.abc import Iterator

MONTHS = ["Foo", *calendar.month_name[1:], "Bar"]

#: Year, month, day, whether real or not.
DAYS = [
    (2021, 12, 25), (2021, 1, 1), (2021, 12, 31), (1970, 1, 1), (1969, 12, 31), (1, 1, 1), (9999, 12, 31), (0, 1, 1),
    (1900, 2, 28), (1900, 2, 29), (2000, 2, 29), (2000, 2, 30), (2020, 2, 29), (2021, 2, 29), (2021, 2, 28),
    (2021, 4, 30), (2021, 4, 31), (2021, 6, 31), (2021, 9, 9), (2021, 0, 1), (2021, 13, 1), (2021, 1, 0), (2021, 1, 32),
    (1582, 10, 10), (12021, 6, 25), (2021, 5, 4),
]  # fmt: skip
DATES = {
    "yyyyMMdd": "{y:04}{m:02}{d:02}",
    "uuuuMMdd": "{y:04}{m:02}{d:02}",
    "yyyy-MM-dd": "{y:04}-{m:02}-{d:02}",
    "MM/dd/yyyy": "{m:02}/{d:02}/{y:04}",
    "M/d/yyyy": "{m}/{d}/{y:04}",
    "d.M.yyyy": "{d}.{m}.{y:04}",
    "dd-MMM-yyyy": "{d:02}-{short}-{y:04}",
    "d LLLL yyyy": "{d} {month} {y:04}",
    "MMMM d, yyyy": "{month} {d}, {y:04}",
    "yyMMdd": "{yy:02}{m:02}{d:02}",
    "d/M/uu": "{d}/{m}/{yy:02}",
    "y-M-d": "{y}-{m}-{d}",
    "yyy-MM-dd": "{y:03}-{m:02}-{d:02}",
    "yyyyMd": "{y:04}{m}{d}",
    "yMMdd": "{y}{m:02}{d:02}",
    "Mddyyyy": "{m}{d:02}{y:04}",
    "yyyy'/'MM''dd": "{y:04}/{m:02}'{d:02}",
    "'day' dd.MM.yyyy 'o''clock'": "day {d:02}.{m:02}.{y:04} o'clock",
    "G yyyy-MM-dd": "AD {y:04}-{m:02}-{d:02}",
    "GGGG y-M-d": "Anno Domini {y}-{m}-{d}",
    "Gyyyy-MM-dd": "BC{y:04}-{m:02}-{d:02}",
}

#: Hour, minute, second, whether real or not.
TIMES = [
    (0, 0, 0), (13, 55, 42), (23, 59, 59), (24, 0, 0), (24, 0, 1), (23, 60, 0), (23, 59, 60), (23, 59, 61), (12, 0, 0),
    (1, 2, 3), (11, 59, 59), (25, 0, 0),
]  # fmt: skip
CLOCKS = {
    "yyyy-MM-dd HH:mm:ss": "2021-12-25 {h:02}:{m:02}:{s:02}",
    "yyyy-MM-dd'T'HH:mm:ss'Z'": "2021-12-25T{h:02}:{m:02}:{s:02}Z",
    "yyyyMMddHHmmss": "20211225{h:02}{m:02}{s:02}",
    "yyyyMMddHHmmssSSS": "20211225{h:02}{m:02}{s:02}042",
    "yyyy-MM-dd HH:mm:ss.S": "2021-12-25 {h:02}:{m:02}:{s:02}.9",
    "yyyy-MM-dd HH:mm:ss,SSSSSS": "2021-12-25 {h:02}:{m:02}:{s:02},123987",
    "yyyy-MM-dd HH:mm:ss.SSSSSSSSS": "2021-12-25 {h:02}:{m:02}:{s:02}.999999999",
    "yyyy-MM-dd H:m:s": "2021-12-25 {h}:{m}:{s}",
    "yyyy-MM-dd HH": "2021-12-25 {h:02}",
    "yyyy-MM-dd kk:mm": "2021-12-25 {h:02}:{m:02}",
    "yyyy-MM-dd k:mm": "2021-12-25 {h}:{m:02}",
    "yyyy-MM-dd hh:mm:ss a": "2021-12-25 {h:02}:{m:02}:{s:02} PM",
    "yyyy-MM-dd h:mm a": "2021-12-25 {h}:{m:02} AM",
    "yyyy-MM-dd K:mm a": "2021-12-25 {h}:{m:02} PM",
    "yyyy-MM-dd KK:mma": "2021-12-25 {h:02}:{m:02}AM",
    "yyyy-MM-dd HH:mm a": "2021-12-25 {h:02}:{m:02} PM",
    "yyyy-MM-dd HH h a": "2021-12-25 {h:02} 1 PM",
}

OFFSETS = [
    "Z", "z", "+00", "-00", "+0000", "-0000", "+00:00", "-00:00", "+01", "+0100", "+01:00", "-05:30", "-0530", "-00:30",
    "-0030", "+14", "+14:00", "+18", "+1800", "+18:00", "-18:00", "+18:01", "+1801", "+19", "+19:00", "+99", "+0199",
    "+01:60", "+01:59", "+1", "+1:00", "+01:0", "+010", "+01:", "01:00", "UTC", "GMT", "UT", "UTCZ", "utc", "GMT+1",
    "UTC+01:00", "PST", "Etc/UTC", "Europe/Paris", "+", "-", "+01:00:00", "+010000", "+01-00", "ZZ", "\u221201:00",
]  # fmt: skip
ZONES = [letter * count for letter in "XxZ" for count in range(1, 6)] + ["z", "zz", "zzz"]

#: What needs cells of its own.
OTHERS = {
    "yyyyDDD": ["2021001", "2021365", "2021366", "2020366", "2020367", "2021000", "2021032", "202132"],
    "yyyy-D": ["2021-1", "2021-01", "2021-032", "2021-365", "2021-366", "2020-366", "2021-0"],
    "yyyyDD": ["202101", "2021365", "20211", "2021099"],
    "EEE, dd MMM yyyy": ["Sat, 25 Dec 2021", "Sun, 25 Dec 2021", "sat, 25 Dec 2021", "Saturday, 25 Dec 2021"],
    "E d MMM uuuu": ["Wed 31 Dec 1969", "Mon 1 Jan 0001", "Tue 1 Jan 0001", "Sun 29 Feb 2004", "Sun 29 Feb 2005"],
    "EEEE, MMMM d, yyyy": ["Saturday, December 25, 2021", "Friday, December 25, 2021", "Wednesday, May 5, 2021"],
    "yyyy-MM-dd Q": ["2021-12-25 4", "2021-12-25 3", "2021-01-25 1", "2021-01-25 01", "2021-01-25 0", "2021-01-25 5"],
    "yyyy-MM-dd QQ": ["2021-12-25 04", "2021-12-25 4", "2021-06-30 02", "2021-07-01 02"],
    "yyyy-MM-dd QQQ": ["2021-12-25 Q4", "2021-12-25 Q1", "2021-12-25 q4", "2021-03-31 Q1"],
    "yyyy-MM-dd QQQQ": ["2021-12-25 4th quarter", "2021-05-25 3rd quarter", "2021-02-01 1st quarter"],
    "QQQ yyyyDDD": ["Q1 2021001", "Q2 2021001", "Q4 2021365"],
    "yyyyMMddX": ["20211225Z", "20211225+01", "20211225-0100", "00010101+01:00", "99991231-01:00", "20211225"],
    "dd MMM yyyy": [f"05 {month[:length]} 2021" for month in MONTHS for length in (3, 4)],
    "yyyy MMMM": ["2021 May"],
    "MM/dd": ["12/25"],
    "HH:mm": ["13:55"],
    "yyyymmdd": ["20211225"],
    "yyyy-MM-dd hh:mm": ["2021-12-25 01:55"],
    "yyyy-MM-dd a": ["2021-12-25 AM"],
    "yyyy-MM-dd ss": ["2021-12-25 01"],
    "yyyy-MM-dd HH:MM": ["2021-12-25 12:12", "2021-12-25 12:11"],
    "yyyy-MM-ddTHH": ["2021-12-25T13"],
    "yyyy-MM-dd'T": ["2021-12-25T"],
    "yyyy-MM-dd[ HH]": ["2021-12-25", "2021-12-25 13"],
    "yyyy-MM-dd{": ["2021-12-25{"],
    "yyyy-MM-dd#": ["2021-12-25#"],
    "yyyy-MMM-dddd": ["2021-12-25"],
    "yyyyMMMMMdd": ["2021D25"],
    "YYYY-MM-dd": ["2021-12-25"],
    "YYYYMMDD": ["20211225"],
    "YYYY-'W'ww-e": ["2021-W51-7"],
    "yyyyy-MM-dd": ["02021-12-25"],
    "yyyy\u5e74MM\u6708dd\u65e5": ["2021\u5e7412\u670825\u65e5", "2021\u5e7412\u670832\u65e5", "2021-12-25"],
    "yyyy-MM-dd HHXz": ["2021-12-25 13ZUTC"],
}  # fmt: skip


def spoilt(cell: str) -> Iterator[str]:
    """The cell with small things wrong."""
    yield from (f" {cell}", f"{cell} ", f"{cell}x", f"{cell}\n", f"{cell}\0", f"+{cell}", f"-{cell}", cell * 2)
    yield from (cell.upper(), cell.lower(), cell.swapcase(), cell.replace(" ", "\u00a0"))
    yield cell.translate({digit: digit + 0xFF10 - 0x30 for digit in range(0x30, 0x3A)})
    yield cell.translate({0x31: 0x0661})
    for at in range(len(cell)):
        yield cell[:at] + cell[at + 1 :]
        yield cell[:at] + cell[at] + cell[at:]
        yield cell[:at] + " " + cell[at + 1 :]


def questions() -> Iterator[tuple[str, str]]:
    """Every pattern with every cell of interest."""
    for pattern, form in DATES.items():
        yield from ((pattern, written(form, *day)) for day in DAYS)
    for pattern, form in CLOCKS.items():
        yield from ((pattern, form.format(h=h, m=m, s=s)) for h, m, s in TIMES)
    for letters in ZONES:
        yield from ((f"yyyy-MM-dd'T'HH:mm{letters}", f"2021-06-25T13:55{offset}") for offset in OFFSETS)
    for pattern, cells in OTHERS.items():
        yield from ((pattern, cell) for cell in cells)
    for pattern, form in list(DATES.items())[::3]:
        yield from ((pattern, cell) for cell in spoilt(written(form, 2021, 12, 25)))
    for pattern, form in list(CLOCKS.items())[::5]:
        yield from ((pattern, cell) for cell in spoilt(form.format(h=11, m=45, s=9)))


def written(form: str, y: int, m: int, d: int) -> str:
    """A day, real or not, in one of the forms."""
    return form.format(y=y, m=m, d=d, yy=y % 100, month=MONTHS[m], short=MONTHS[m][:3])


def escaped(text: str) -> str:
    """The text in printable ASCII."""
    return "".join(char if " " <= char <= "~" else f"\\u{ord(char):04x}" for char in text)


if __name__ == "__main__":
    for line in dict.fromkeys(f"{escaped(pattern)}\t{escaped(cell)}" for pattern, cell in questions()):
        print(line)
