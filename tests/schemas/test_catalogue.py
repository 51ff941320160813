"""The attribute catalogue: PX's own defaults, and the exchange format read strictly."""

import json
from importlib import resources

import pytest

from schemas.catalogue import Attribute, AttributeType, Catalogue, Entity, default_catalogue
from schemas.errors import SettingsError
from tests.schemas.making import FEED, judged

pytestmark = pytest.mark.rule("G1")

PLACES = "countryCode countryName stateCode stateName city street continent postalCode regionName timeZone latitude longitude"
DEFAULTS = {
    Entity.USER: {
        "STRING": f"id accountId email firstName lastName gender title phone role type subscriptionId sfdcContactId {PLACES}",
        "NUMBER": "score numberOfVisits",
        "DATE_TIME": "firstVisitDate leadDate signUpDate",
        "BOOLEAN": "guidedTours onboardingBot productUpdates surveys trackUsage globalUnsubscribe",
    },
    Entity.ACCOUNT: {
        "STRING": "id name industry naicsCode sicCode plan sfdcId website trackedSubscriptionId dunsNumber parentGroupId gsId"
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
        pytest.param([], id="empty"),
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
    catalogue = Catalogue.parse([{"apiName": "Plan", "type": "STRING"}, {"apiName": "plan", "type": "NUMBER"}])
    assert [attribute.api_name for attribute in catalogue.attributes] == ["id", "Plan", "plan"]


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
        ([{"apiName": "x", "type": "STRING", "state": "DELETED"}, {"apiName": "x", "type": "STRING"}], "[1].apiName", "twice"),
        ([{"apiName": "id", "type": "NUMBER"}], "id", "always STRING"),
    ],
)
def test_a_wrong_catalogue_is_refused_by_place(entries: object, place: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Catalogue.parse(entries, source="attributes.json")
    assert (caught.value.field, caught.value.source) == (place, "attributes.json")
    assert problem in caught.value.problem
    assert str(caught.value).startswith("attributes.json: ")
