"""Sample feeds of the demo: what an exporting system would deliver on a few days, good and bad; always the same."""

import csv
import gzip
import io
import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

#: What must come of each tick: feed and day, verdict, and the rows that are loaded.
FIRST_TICK = (
    ("accounts", "20260302", "SUCCESS", 120),
    ("users", "20260302", "SUCCESS", 3000),
    ("users", "20260303", "ERROR", 0),
    ("users", "20260304", "ERROR", 1000),
)
SECOND_TICK = (("users", "20260302", "SUCCESS", 3025),)
#: Folders that must stay as they are.
WAITING = (("users", "20260305"),)
#: Records that the database must hold in the end.
RECORDS = {"accounts": 120, "users": 4025}

_ACCOUNT_COLUMNS = ("id", "name", "plan", "contractValue", "isPartner", "renewalDate", "notes")
_USER_COLUMNS = (
    *("productKey", "id", "accountId", "email", "firstName", "lastName", "title"),
    *("city", "countryCode", "signUpDate", "score", "surveys"),
)
_COMPANIES = (
    "Aster, Brandt & Søn",
    "Çelik Yazılım",
    "Dvořák a syn",
    "Müller, Maier & Co. KG",
    "Ørsted Data",
    "三和システム",
)
_KINDS = ("", "Holding", "Labs", "Services", "Retail", "Logistics", "Energy", "Health", "Studio", "Foods")
_NOTES = (
    'Call Monday;\r\nask for "Zoë"',
    "",
    "Prefers e-mail, never phone",
    "Säumig: 2 Rechnungen offen",
    "",
)
_FIRST = ("Aïcha", "Björn", "Chloé", "Dmitri", "Elif", "François", "Gül", "Hana", "Íñigo", "Jürgen", "Kenji", "Zoë")
_LAST = ("Ångström", "Brown", "Castañeda", "Dvořák", "Eriksson", "Fußmann", "García", "Ivanova", "O'Neill", "Yılmaz")
_TITLES = ("Product Manager", "VP Sales, EMEA", 'Engineer, "Core" team', "Head of Design", "", "Analyst, Finance & Tax")
_PLACES = (("Zürich", "CH"), ("São Paulo", "BR"), ("Kraków", "PL"), ("Austin", "US"), ("Malmö", "SE"), ("大阪", "JP"))
_PRODUCTS = ("AP-PXDEMO0001-2-1", "AP-PXDEMO0001-3")  # the second names no environment: production is meant

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One object of the bucket.

    Attributes:
        name: how a copy for the curious is called.
        key: where it goes, below the folder that both feeds share.
        content: its bytes.
    """

    name: str
    key: str
    content: bytes


def first_deliveries() -> list[Sample]:
    """What lies in the bucket when the demo begins."""
    good = users(3000)
    east, west = users(1000, first=6001)[:400], users(1000, first=6001)[400:]
    return [
        _sample("accounts.csv.gz", "accounts/current/dt=20260302/accounts", _gzipped(_ACCOUNT_COLUMNS, accounts(120))),
        _marker("accounts/current/dt=20260302"),
        _sample("users-good.csv.gz", "users/current/dt=20260302/users", _gzipped(_USER_COLUMNS, good)),
        _marker("users/current/dt=20260302"),
        _sample("users-faulty.csv.gz", "users/current/dt=20260303/users", _faulty(users(800, first=4001))),
        _marker("users/current/dt=20260303"),
        _sample("users-asia.csv.gz", "users/current/dt=20260304/users-asia", _gzipped(_USER_COLUMNS, east)),
        _sample("users-truncated.csv.gz", "users/current/dt=20260304/users-europe", _truncated(users(900, first=5001))),
        _sample("users-us.csv.gz", "users/current/dt=20260304/users-us", _gzipped(_USER_COLUMNS, west)),
        _marker("users/current/dt=20260304"),
        _sample("users-unfinished.csv.gz", "users/current/dt=20260305/users", _gzipped(_USER_COLUMNS, good[:50])),
    ]


def second_delivery() -> list[Sample]:
    """The good day once more: 300 users have another score, 25 are new."""
    scored = [(*row[:-2], "100", row[-1]) if number % 10 == 0 else row for number, row in enumerate(users(3000))]
    content = _gzipped(_USER_COLUMNS, [*scored, *users(25, first=3001)])
    return [
        _sample("users-again.csv.gz", "users/current/dt=20260302/users", content),
        _marker("users/current/dt=20260302"),
    ]


def accounts(count: int) -> list[Row]:
    """Companies; dates as yyyyMMdd."""
    random = Random(2026)  # noqa: S311 -- samples, no secrets
    return [
        (
            f"acc-{number:03}",
            f"{_COMPANIES[number % 6]} {_KINDS[number // 6 % 10]}".strip(),
            random.choice(("free", "team", "enterprise")),
            f"{random.randrange(5, 900) * 100}.{random.randrange(100):02}",
            random.choice(("true", "False", "TRUE", "false")),
            f"2026{random.randint(4, 12):02}{random.randint(1, 28):02}",
            _NOTES[number % 5],
        )
        for number in range(count)
    ]


def users(count: int, first: int = 1) -> list[Row]:
    """People; dates as ISO 8601."""
    random = Random(first)  # noqa: S311 -- samples, no secrets
    return [_user(number, random) for number in range(first, first + count)]


def _user(number: int, random: Random) -> Row:
    name, surname = random.choice(_FIRST), random.choice(_LAST)
    place = random.choice(_PLACES)
    day = f"2025-{random.randint(1, 12):02}-{random.randint(1, 28):02}"
    time = f"{random.randrange(24):02}:{random.randrange(60):02}:00{random.choice(('Z', '+01'))}"
    return (
        _PRODUCTS[number % 5 == 0],
        f"u-{number:05}",
        f"acc-{random.randrange(120):03}",
        f"{_ascii(name)}.{_ascii(surname)}{number}@example.com",
        name,
        surname,
        random.choice(_TITLES),
        *place,
        f"{day}T{time}",
        f"{random.randrange(100)}.5",
        random.choice(("true", "false", "TRUE")),
    )


def _ascii(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss").replace("ı", "i")).encode("ascii", "ignore")
    return plain.decode().lower().replace("'", "")


def _faulty(rows: Sequence[Row]) -> bytes:
    """A header that is not the api name, and cells that are none of their type."""
    broken = [
        (
            *row[:9],
            "03/03/2026" if number % 211 == 7 else row[9],
            "n/a" if number % 97 == 3 else row[10],
            "yes" if number == 42 else row[11],
        )
        for number, row in enumerate(rows)
    ]
    return _gzipped(["E-Mail" if column == "email" else column for column in _USER_COLUMNS], broken)


def _truncated(rows: Iterable[Row]) -> bytes:
    """An upload that broke off."""
    whole = _gzipped(_USER_COLUMNS, rows)
    return whole[: len(whole) // 2]


def _gzipped(columns: Sequence[str], rows: Iterable[Row]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(rows)
    return gzip.compress(text.getvalue().encode(), mtime=0)


def _sample(name: str, stem: str, content: bytes) -> Sample:
    return Sample(name, f"{stem}.csv.gz", content)


def _marker(folder: str) -> Sample:
    return Sample("", f"{folder}/_SUCCESS", b"")


def account_attributes() -> str:
    """The attribute catalogue of the accounts: a few of PX's own and some that a customer has added."""
    types = ("STRING", "STRING", "STRING", "NUMBER", "BOOLEAN", "DATE_TIME", "STRING")
    entries = [{"apiName": name, "type": kind} for name, kind in zip(_ACCOUNT_COLUMNS, types, strict=True)]
    return "[\n" + ",\n".join(f"  {json.dumps(entry)}" for entry in entries) + "\n]\n"


def settings_file(feed: str, *, endpoint_url: str, callback_url: str, store: str) -> str:
    """The settings of one feed, as a person would write them."""
    own = {
        "accounts": """\
entity: account
base_folder: accounts
catalogue: account-attributes.json      # instead of PX's default attributes
destination:
  product: AP-PXDEMO0001                # one product for all rows
  channel: 2
date_format: yyyyMMdd
""",
        "users": """\
entity: user
base_folder: users
destination:
  product_key_column: productKey        # each row names its product
date_format: yyyy-MM-dd'T'HH:mm:ssX
""",
    }[feed]
    return f"""\
# Names in ${{…}} come from the environment: no secret stands here.
feed: {feed}
{own}
bucket: px-demo/export
region: us-east-1
endpoint_url: {endpoint_url}    # leave this out for AWS
authorization:
  access_key_id: ${{PX_DEMO_ACCESS_KEY_ID}}
  secret_access_key: ${{PX_DEMO_SECRET_ACCESS_KEY}}

store: {json.dumps(f"sqlite:///{store}", ensure_ascii=False)}

status_endpoint:
  url: {callback_url}
  api_key: ${{PX_DEMO_API_KEY}}
  allow_http: true                      # for this machine only; otherwise https and public addresses
  allowed_networks: [127.0.0.0/8]
"""
