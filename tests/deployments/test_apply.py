"""What `px-import apply` saves: a document that Prefect's forms may save again, and that keeps its secrets."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.server.schemas.actions import DeploymentCreate
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.utilities.callables import parameter_schema

from blocks.import_settings import AttributeCatalogue, ImportSettings
from deployments.apply import apply
from flows.import_feed import import_feed
from schemas.errors import SettingsError
from tests.receiver import unused_port
from tests.servers import Answer, AnsweringServer

DOCUMENT = {
    "feed": "users",
    "bucket": "ABC123/export",
    "destination": {"product": "AP-XXXXXXXXXX"},
    "store": "sqlite:////var/lib/px-import/px.db",
}


def read(**changes: Any) -> ImportSettings:
    return ImportSettings.model_validate(DOCUMENT | {"authorization": {}, "catalogue": {}} | changes)


def test_the_form_begins_with_what_everybody_fills_in() -> None:
    names = list(ImportSettings.model_json_schema()["properties"])
    assert set(names) == set(ImportSettings.model_fields)
    assert names[:5] == ["feed", "entity", "bucket", "base_folder", "authorization"]


def test_the_schema_is_made_once_and_each_who_asks_has_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = ImportSettings.model_json_schema()
    ImportSettings.model_json_schema()["properties"].clear()
    monkeypatch.setattr("prefect.blocks.core.Block.model_json_schema", None)  # so that making it anew would fail
    assert ImportSettings.model_json_schema() == schema
    assert schema["properties"]


def test_the_parts_of_the_form_are_titled_for_people() -> None:
    schema = ImportSettings.model_json_schema()
    parts = [part for part in schema["definitions"].values() if part.get("title") in {"Limits", "Status endpoint"}]
    assert len(parts) == 2
    assert not any("rule" in part["description"] for part in parts)


def test_prefect_takes_a_reference_to_a_document_as_a_deployments_parameter() -> None:
    DeploymentCreate(
        name="users",
        flow_id="00000000-0000-4000-8000-000000000000",
        enforce_parameter_schema=True,
        parameters={"settings": {"$ref": {"block_document_slug": "px-import-settings/users"}}},
        parameter_openapi_schema=parameter_schema(import_feed).model_dump(),
    )


@pytest.mark.rule("S9")
def test_a_document_with_a_wrong_setting_is_one_sentence() -> None:
    with pytest.raises(SettingsError, match=r"^px-import-settings/users: lease_seconds: .*\.$"):
        read(lease_seconds=1)


@pytest.mark.rule("S10")
def test_a_store_that_an_older_document_holds_as_url_stays_secret() -> None:
    assert {"store", "store.password"} <= set(ImportSettings.model_json_schema()["secret_fields"])


def test_a_block_that_was_not_chosen_in_the_form_is_the_default() -> None:
    settings = read(authorization=None, catalogue=None)
    assert settings.authorization.aws_access_key_id is None
    assert settings.catalogue == AttributeCatalogue()


@pytest.mark.rule("S9")
@pytest.mark.parametrize(
    ("name", "default"),
    [("authorization", "the machine's own credentials"), ("catalogue", "PX's default attributes")],
)
def test_a_block_that_has_been_deleted_is_not_taken_for_the_default(name: str, default: str) -> None:
    document = DOCUMENT | {"authorization": {}, "catalogue": {}}
    del document[name]  # as Prefect hands the document out then
    with pytest.raises(SettingsError, match=f"^px-import-settings/users: {name}: none is chosen, or .* {default}"):
        ImportSettings.model_validate(document)


def test_prefects_own_word_in_a_block_inside_a_document_is_no_setting() -> None:
    assert read(catalogue={"entries": [], "block_type_slug": "px-attribute-catalogue"}).catalogue.entries == []
    with pytest.raises(SettingsError, match=r"catalogue\.entires: there is no such setting"):
        read(catalogue={"entires": []})


@pytest.mark.rule("S9")
def test_stars_that_the_form_saved_in_place_of_the_secret_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"authorization: .*stars in place of the secret; choose the block again"):
        read(authorization={"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "********"})


@pytest.mark.rule("S10")
def test_the_session_token_is_hidden_like_the_secret() -> None:
    secrets = {"aws_secret_access_key": "a-secret", "aws_session_token": "a-token"}
    settings = read(authorization={"aws_access_key_id": "AKIAEXAMPLE", **secrets})
    shown = repr(settings) + settings.model_dump_json()
    assert not [secret for secret in secrets.values() if secret in shown]
    kept = settings.model_dump(context={"include_secrets": True})["authorization"]
    assert kept["aws_session_token"] == "a-token"


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    path = tmp_path / "users.yaml"
    path.write_text(yaml.safe_dump(DOCUMENT))
    return path


def test_a_server_that_is_not_there_is_one_sentence(settings_file: Path) -> None:
    address = f"http://127.0.0.1:{unused_port()}/api"
    with temporary_settings({PREFECT_API_URL: address}), pytest.raises(SettingsError, match=r"^PREFECT_API_URL: .*\.$"):
        apply([settings_file])


def test_a_server_that_wants_a_password_is_one_sentence(settings_file: Path) -> None:
    with (
        AnsweringServer(lambda _: Answer(401, b"{}")) as server,
        temporary_settings({PREFECT_API_URL: f"{server.url}/api"}),
        pytest.raises(SettingsError, match=r"^PREFECT_API_AUTH_STRING: .*\.$"),
    ):
        apply([settings_file])
