"""The attribute catalogue: PX's own defaults, and the exchange format read strictly."""

import json
from collections import Counter
from importlib import resources

import jsonschema
import pytest

from schemas.catalogue import (
    Attribute,
    AttributeType,
    Catalogue,
    Entity,
    State,
    default_catalogue,
    examine,
)
from schemas.errors import SettingsError
from tests.schemas.making import FEED, judged

pytestmark = pytest.mark.rule("G1")

PLACES = (
    "countryCode countryName stateCode stateName city "
    "street continent postalCode regionName timeZone latitude longitude"
)
DEFAULTS = {
    Entity.USER: {
        "STRING": f"id accountId email firstName lastName gender title phone role type "
        f"subscriptionId {PLACES} sfdcContactId",
        "NUMBER": "score numberOfVisits",
        "DATE_TIME": "firstVisitDate leadDate signUpDate",
        "BOOLEAN": "guidedTours onboardingBot productUpdates surveys trackUsage globalUnsubscribe",
    },
    Entity.ACCOUNT: {
        "STRING": "id name industry naicsCode sicCode plan sfdcId website trackedSubscriptionId dunsNumber "
        "parentGroupId gsId"
        f" csm {PLACES}",
        "NUMBER": "numberOfEmployees numberOfUsers numberOfVisitors healthScore nps",
        "DATE_TIME": "renewalDate",
        "BOOLEAN": "",
    },
}


@pytest.mark.parametrize("entity", Entity)
def test_the_defaults_are_exactly_those_of_px(entity: Entity) -> None:
    found = {attribute.api_name: attribute.type.value for attribute in default_catalogue(entity).attributes}
    assert found == {name: kind for kind, names in DEFAULTS[entity].items() for name in names.split()}


@pytest.mark.parametrize("entity", Entity)
def test_the_files_of_the_defaults_list_nothing_twice_and_say_so_themselves(entity: Entity) -> None:
    text = resources.files("schemas").joinpath(f"px_{entity}_attributes.json").read_text(encoding="utf-8")
    entries = json.loads(text)
    assert len(entries) == len(default_catalogue(entity).attributes)
    assert {entry["origin"] for entry in entries} == {"DEFAULT"}


def test_what_px_serves_is_read_and_what_it_adds_is_ignored() -> None:
    entry = {
        "id": "1", "name": "Score", "apiName": "score", "internalName": "score", "description": None, "type": "NUMBER",
        "state": "ENABLED", "origin": "CUSTOM", "createdDate": 1, "modifiedDate": 2, "defaultValue": "",
    }  # fmt: skip
    assert Catalogue.parse([entry]).attributes[1:] == (Attribute("score", AttributeType.NUMBER),)


@pytest.mark.rule("G3")
@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([{"apiName": "x", "type": "NUMBER"}], id="not listed"),
        pytest.param([{"apiName": "id", "type": "STRING"}], id="listed"),
        pytest.param([{"apiName": "x", "type": "NUMBER"}, {"apiName": "id", "type": "STRING"}], id="listed last"),
        pytest.param([{"apiName": "id", "type": "STRING", "state": "DISABLED"}], id="disabled"),
        pytest.param([{"apiName": "id", "type": "NUMBER", "state": "DELETED"}], id="deleted, of another type"),
    ],
)
def test_id_is_always_there_first_and_text(entries: list[object]) -> None:
    catalogue = Catalogue.parse(entries)
    assert catalogue.attributes[0] == Attribute("id", AttributeType.STRING)
    assert list(catalogue.by_name).count("id") == 1


@pytest.mark.rule("G3")
@pytest.mark.parametrize("state", ["DISABLED", "DELETED"])
def test_what_is_not_enabled_is_unknown(state: str) -> None:
    catalogue = Catalogue.parse([{"apiName": "plan", "type": "STRING", "state": state}])
    assert judged("id,plan\n1,x\n", FEED, catalogue).sentences == ["Unknown PX Column: 'plan'"]
    enabled = Catalogue.parse([{"apiName": "plan", "type": "STRING", "state": "ENABLED"}])
    assert judged("id,plan\n1,x\n", FEED, enabled).rows == [{"id": "1", "plan": "x"}]


@pytest.mark.rule("G3")
def test_case_counts() -> None:
    catalogue = Catalogue.parse([{"apiName": "Plan", "type": "STRING"}])
    assert judged("id,plan\n1,x\n", FEED, catalogue).sentences == ["Unknown PX Column: 'plan' (did you mean 'Plan'?)"]


@pytest.mark.rule("G3")
def test_the_hash_tells_names_and_types_whatever_their_order() -> None:
    x, y = {"apiName": "x", "type": "STRING"}, {"apiName": "y", "type": "NUMBER"}
    same = [[x, y], [y, x], [{**x, "name": "X", "origin": "CUSTOM"}, y], [x, y, {"apiName": "id", "type": "STRING"}]]
    other = [[x], [x, {**y, "type": "STRING"}], [{**x, "apiName": "X"}, y], [x, {**y, "state": "DISABLED"}]]
    assert len({Catalogue.parse(entries).hash for entries in same}) == 1
    assert len({Catalogue.parse(entries).hash for entries in [same[0], *other]}) == 4
    assert Catalogue.parse([x]).hash == Catalogue.parse(other[0]).hash


@pytest.mark.rule("S9")
@pytest.mark.parametrize(
    ("entries", "place", "problem"),
    [
        ({"attributes": []}, "", "is a JSON array"),
        (None, "", "is a JSON array"),
        (["score"], "[0]", "write an object like"),
        ([{"type": "STRING"}], "[0].apiName", "a name is needed"),
        ([{"apiName": "", "type": "STRING"}], "[0].apiName", "a name is needed"),
        ([{"apiName": 7, "type": "STRING"}], "[0].apiName", "a name is needed"),
        ([{"apiName": "x"}], "[0] (x).type", "write one of STRING, NUMBER, BOOLEAN, DATE_TIME"),
        ([{"apiName": "x", "type": "string"}], "[0] (x).type", "write one of STRING, NUMBER, BOOLEAN, DATE_TIME"),
        ([{"apiName": "x", "type": ["STRING"]}], "[0] (x).type", "write one of"),
        ([{"apiName": "x", "type": "STRING", "state": "on"}], "[0] (x).state", "ENABLED, DISABLED, DELETED"),
        ([{"apiName": "x", "type": "STRING"}] * 2, "[1].apiName", "'x' is listed twice"),
        (
            [{"apiName": "x", "type": "STRING", "state": "DELETED"}, {"apiName": "x", "type": "STRING"}],
            "[1].apiName",
            "twice",
        ),
        ([{"apiName": "id", "type": "NUMBER"}], "[0] (id).type", "always STRING"),
        ([], "", "no attribute is listed"),
    ],
)
def test_a_wrong_catalogue_is_refused_by_place(entries: object, place: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Catalogue.parse(entries, source="attributes.json")
    assert (caught.value.field, caught.value.source) == (place, "attributes.json")
    assert problem in caught.value.problem
    assert str(caught.value).startswith("attributes.json: ")


def listed(*names: str, state: str = "ENABLED") -> list[dict[str, str]]:
    return [{"apiName": name, "type": "STRING", "state": state} for name in names]


#: Names that no store could carry, or tell from another one, by what is said of the last of them.
REFUSED = {
    "two in other case": (["plan", "Plan"], "[1].apiName", "only upper and lower case tell 'Plan' from 'plan'"),
    "id in other case": (["ID"], "[0].apiName", "only upper and lower case tell 'ID' from 'id'"),
    "id in other case first": (["Id", "id"], "[0].apiName", "only upper and lower case tell 'Id' from 'id'"),
    "ASCII case beside other letters": (["größe", "GRößE"], "[1].apiName", "only upper and lower case"),
    "NUL": (["a\0b"], "[0].apiName", "cannot hold a NUL"),
    "half a surrogate pair": (["\ud800"], "[0].apiName", "not valid Unicode"),
    "64 letters": (["x" * 64], "[0].apiName", "at most 63 bytes in UTF-8"),
    "32 letters of two bytes": (["ö" * 32], "[0].apiName", "has 64; disable it"),
    "PostgreSQL's own": (["xmin"], "[0].apiName", "PostgreSQL keeps the name 'xmin' for itself"),
}
CARRIED = [
    *("SELECT", "order", 'a"b', "it's", "x; DROP TABLE users", "名前", "a b", " ", "rowid", "XMIN", "\u2028"),
    *("x" * 63, "ö" * 31 + "x"),
]


@pytest.mark.rule("L4")
@pytest.mark.parametrize(("names", "place", "problem"), REFUSED.values(), ids=REFUSED)
def test_a_name_that_a_store_cannot_keep_apart_is_refused(names: list[str], place: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Catalogue.parse(listed(*names))
    assert caught.value.field == place
    assert problem in caught.value.problem
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("state", ["DISABLED", "DELETED"])
@pytest.mark.parametrize("names", [names for names, _, _ in REFUSED.values()], ids=REFUSED)
def test_the_cure_is_to_disable_it(names: list[str], state: str) -> None:
    assert [attribute.api_name for attribute in Catalogue.parse(listed(*names, state=state)).attributes] == ["id"]


@pytest.mark.parametrize("name", CARRIED)
def test_every_other_name_is_carried(name: str) -> None:
    assert Catalogue.parse(listed(name)).attributes[1:] == (Attribute(name, AttributeType.STRING),)


def test_case_beyond_ascii_is_told_apart() -> None:
    kelvin = "\u212a"  # K in lower case, but not to SQLite
    assert len(Catalogue.parse(listed("größe", "grÖße", "ı", "i", kelvin, "k")).attributes) == 7


FAULTY = [
    {"apiName": "", "type": "text"},
    {"apiName": "plan", "type": "STRING"},
    {"apiName": "Plan", "type": "NUMBER", "state": "on"},
    {"apiName": "plan", "type": None},
    7,
]


@pytest.mark.rule("S9")
def test_every_fault_is_found_at_once_and_the_first_one_is_told_with_their_number() -> None:
    examination = examine(FAULTY)
    assert [fault.place for fault in examination.faults] == [
        *("[0].apiName", "[0].type", "[2].apiName", "[2] (Plan).state", "[3].apiName", "[3] (plan).type", "[4]"),
    ]
    with pytest.raises(SettingsError, match=r"^\[0\]\.apiName: a name is needed here \(and 6 more\)\.$"):
        Catalogue.parse(FAULTY)


def test_what_is_listed_is_counted_by_type_and_state() -> None:
    entries = [*listed("a", "b"), *listed("c", state="DELETED"), {"apiName": "n", "type": "NUMBER"}]
    string, number = AttributeType.STRING, AttributeType.NUMBER
    assert examine(entries).counts == Counter(
        {(string, State.ENABLED): 2, (string, State.DELETED): 1, (number, State.ENABLED): 1}
    )


SCHEMA = json.loads(resources.files("schemas").joinpath("catalogue.schema.json").read_text(encoding="utf-8"))
#: What concerns two entries, or counts bytes, is more than a JSON Schema can say.
BEYOND_THE_SCHEMA = {"two in other case", "ASCII case beside other letters", "32 letters of two bytes"}
BEYOND_THE_SCHEMA |= {"id in other case", "id in other case first", "half a surrogate pair"}


def described(entries: object) -> bool:
    return bool(jsonschema.Draft202012Validator(SCHEMA).is_valid(entries))


def test_the_schema_is_one_and_describes_what_is_read() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for entity in Entity:
        text = resources.files("schemas").joinpath(f"px_{entity}_attributes.json").read_text(encoding="utf-8")
        assert described(json.loads(text))
    for name in CARRIED:
        assert described(listed(name))
    assert described([{"apiName": "x" * 99, "type": "STRING", "state": "DELETED", "id": 7}])


@pytest.mark.parametrize(
    "entries",
    [
        *[pytest.param(listed(*REFUSED[name][0]), id=name) for name in REFUSED if name not in BEYOND_THE_SCHEMA],
        *[pytest.param([entry], id=f"fault {position}") for position, entry in enumerate(FAULTY) if position != 1],
        pytest.param([], id="nothing"),
        pytest.param({"attributes": []}, id="an object"),
        pytest.param([{"apiName": "id", "type": "NUMBER"}], id="an id that is no string"),
    ],
)
def test_what_is_refused_is_not_what_the_schema_describes(entries: object) -> None:
    assert not described(entries)
    with pytest.raises(SettingsError):
        Catalogue.parse(entries)
