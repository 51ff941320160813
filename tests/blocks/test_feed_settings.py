"""The settings file: what it means, and that what is wrong is said in one sentence (rules S1 to S10)."""

from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from blocks.feed_settings import SettingsFile, read_settings_file
from blocks.import_settings import ImportSettings
from schemas.catalogue import default_catalogue
from schemas.drop_zone import DropZone
from schemas.errors import SettingsError

EVERYTHING = dedent("""\
    feed: users
    entity: user
    bucket: ABC123/export
    base_folder: users
    region: us-east-1
    endpoint_url: http://127.0.0.1:8333
    authorization:
      access_key_id: AKIAEXAMPLE
      secret_access_key: ${PX_SECRET}
      role_arn: arn:aws:iam::123456789012:role/s3-import
      external_id: 0e3c1a5e
    destination:
      product_key_column: productKey
    date_format: yyyy-MM-dd'T'HH:mm:ssX
    catalogue: catalogues/users.json
    store: sqlite:////var/lib/px-import/px.db
    status_endpoint:
      url: https://www.example.com/prd/data-export
      api_key: ${PX_CALLBACK_KEY}
    """)
ENVIRONMENT = {"PX_SECRET": "s3cr3t-of-aws", "PX_CALLBACK_KEY": "s3cr3t-of-callback"}
SMALLEST = {"feed": "users", "bucket": "b", "destination": {"product": "AP-X"}, "store": "sqlite:////tmp/px.db"}


@pytest.fixture
def everything(tmp_path: Path) -> Path:
    (tmp_path / "catalogues").mkdir()
    (tmp_path / "catalogues/users.json").write_text('[{"apiName": "score", "type": "NUMBER"}]')
    path = tmp_path / "users.yaml"
    path.write_text(EVERYTHING)
    return path


def written(folder: Path, changes: dict) -> Path:
    path = folder / "feed.yaml"
    path.write_text(yaml.safe_dump({**SMALLEST, **changes}))
    return path


@pytest.mark.rule("S2")
@pytest.mark.parametrize(
    ("bucket", "base_folder", "root"),
    [
        ("ABC123/export", "users", "export/users"),
        ("ABC123", "", ""),
        ("/ABC123//export/", "/users/", "export/users"),
        ("ABC123", "a/b", "a/b"),
    ],
)
def test_bucket_and_base_folder_name_the_root(bucket, base_folder, root):
    settings = SettingsFile(**{**SMALLEST, "bucket": bucket, "base_folder": base_folder})
    assert settings.zone == DropZone("ABC123", root)


@pytest.mark.rule("S3")
def test_a_file_becomes_a_block_with_its_credentials_and_catalogue(everything, monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    settings = ImportSettings.from_file(everything)
    credentials = settings.authorization
    assert credentials.aws_access_key_id == "AKIAEXAMPLE"
    assert credentials.aws_secret_access_key.get_secret_value() == "s3cr3t-of-aws"
    assert credentials.assume_role_arn == "arn:aws:iam::123456789012:role/s3-import"
    assert credentials.assume_role_kwargs.ExternalId == "0e3c1a5e"
    assert settings.status_endpoint.api_key.get_secret_value() == "s3cr3t-of-callback"
    assert [attribute.api_name for attribute in settings.attribute_catalogue.attributes] == ["id", "score"]


@pytest.mark.rule("S10")
def test_no_secret_is_in_a_repr(everything):
    settings = read_settings_file(everything, ENVIRONMENT)
    assert not any(secret in repr(settings) for secret in ENVIRONMENT.values())


@pytest.mark.rule("S8")
def test_the_defaults_are_the_articles_behaviour(tmp_path):
    settings = read_settings_file(written(tmp_path, {}), {})
    assert settings.limits.max_rows == 350_000
    assert settings.file_catalogue(tmp_path) == default_catalogue(settings.entity)
    assert str(settings.destination.fixed_product_key) == "AP-X-2-1"


def test_the_yaml_and_the_block_have_the_same_fields():
    own_to_prefect = {"block_type_slug"}
    assert set(SettingsFile.model_fields) == set(ImportSettings.model_fields) - own_to_prefect


WRONG = {
    "unknown name": ({"buckett": "x"}, "buckett: there is no such setting; did you mean 'bucket'?"),
    "unknown nested name": (
        {"authorization": {"ExternalID": "x"}},
        "authorization.ExternalID: there is no such setting; did you mean 'external_id'?",
    ),
    "feed name with blanks": ({"feed": "my users"}, "feed: this does not have the right form: name of the feed and"),
    "unknown entity": ({"entity": "users"}, "entity: this must be 'user' or 'account'."),
    "two destinations": ({"destination": {"product": "AP-X", "product_key_column": "p"}}, "destination: give either"),
    "unknown environment": (
        {"destination": {"product": "AP-X", "environment": "prod"}},
        "destination: environment must be one of production, integration, qa, stage.",
    ),
    "malformed product": (
        {"destination": {"product": "X"}},
        "destination: a product key looks like AP-XXXXXXXXXX-2-1.",
    ),
    "minutes for months": ({"date_format": "yyyymmdd"}, "date_format: "),
    "key without secret": (
        {"authorization": {"access_key_id": "AKIA"}},
        "authorization: give access_key_id and secret_access_key together.",
    ),
    "external id without role": ({"authorization": {"external_id": "x"}}, "authorization: external_id needs role_arn."),
    "malformed role": (
        {"authorization": {"role_arn": "role/x"}},
        "authorization.role_arn: this does not have the right form: write arn:aws:iam::",
    ),
    "endpoint without scheme": (
        {"endpoint_url": "127.0.0.1:8333"},
        "endpoint_url: this does not have the right form: only for S3-compatible stores, like http://",
    ),
    "store that there is not": ({"store": "mysql://x"}, "store: not the URL of a store; write sqlite:////absolute"),
    "callback over http": (
        {"status_endpoint": {"url": "http://example.com/x"}},
        "status_endpoint: ",
    ),
    "a number for text": ({"bucket": 5}, "bucket: a text is wanted here; put the value in quotes"),
    "a text for numbers": ({"lease_seconds": "5 min"}, "lease_seconds: a whole number is wanted here."),
    "a half for numbers": ({"lease_seconds": 7.5}, "lease_seconds: a whole number is wanted here."),
    "nothing for a number": ({"lease_seconds": None}, "lease_seconds: a whole number is wanted here."),
    "a number below": ({"lease_seconds": 4}, "lease_seconds: this must be 5 or more."),
    "a number beyond": ({"lease_seconds": 841}, "lease_seconds: this must be 840 or less."),
    "a text for seconds": (
        {"status_endpoint": {"timeout_seconds": "10 s"}},
        "status_endpoint.timeout_seconds: a number is wanted here.",
    ),
    "a text for a part": (
        {"status_endpoint": "https://example.com"},
        "status_endpoint: this has settings of its own; write each on an indented line below it.",
    ),
    "a text for names": (
        {"destination": {"product": "AP-X", "environments": "qa"}},
        "destination.environments: this has settings of its own; write each on",
    ),
    "a text for a list": (
        {"status_endpoint": {"allowed_networks": "10.20.0.0/16"}},
        "status_endpoint.allowed_networks: a list is wanted here; write [one, two], or each on a line",
    ),
    "a word for true": (
        {"status_endpoint": {"allow_http": "maybe"}},
        "status_endpoint.allow_http: true or false is wanted here.",
    ),
    "a long name": ({"feed": "x" * 101}, "feed: this must have at most 100 characters."),
    "no such encryption": ({"sse": "KMS"}, "sse: this must be '', 'AES256', 'aws:kms' or 'aws:kms:dsse'."),
    "a negative limit": ({"limits": {"max_rows": -1}}, "limits.max_rows: this must be more than 0."),
}


@pytest.mark.rule("S5")
@pytest.mark.rule("S9")
@pytest.mark.parametrize(("changes", "sentence"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_one_sentence_with_field_and_cure(tmp_path, changes, sentence):
    path = written(tmp_path, changes)
    with pytest.raises(SettingsError) as caught:
        read_settings_file(path, {})
    assert str(caught.value).startswith(f"{path}: {sentence}")


@pytest.mark.rule("S9")
def test_a_missing_setting_is_named(tmp_path):
    path = tmp_path / "feed.yaml"
    path.write_text("feed: users\n")
    with pytest.raises(SettingsError, match=r"destination: this setting is missing; add it\."):
        read_settings_file(path, {})


@pytest.mark.rule("S9")
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("feed: [", "line 2, column 1: this is not valid YAML"),
        (
            "feed: users\ndestination: {product: AP-X}\nbucket: one\nfeed: accounts",
            r"line 4, column 1: 'feed' is given twice; keep one\.$",
        ),
        ("- feed", "a settings file starts with a line like 'feed: users'"),
        ("", "a settings file starts with a line like 'feed: users'"),
    ],
    ids=["broken YAML", "a setting twice", "a list", "empty"],
)
def test_a_file_that_is_no_settings_file(tmp_path, text, sentence):
    path = tmp_path / "feed.yaml"
    path.write_text(text + "\n")
    with pytest.raises(SettingsError, match=sentence):
        read_settings_file(path, {})


CANARY = "s3cr3t"


@pytest.mark.rule("S9")
@pytest.mark.rule("S10")
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("feed: users\n\tstore: CANARY", "line 2, column 1: …: a tab; write blanks in its place."),
        ("store: CANARY: CANARY", "line 1, column 14: …: a ': ' too many, which quotes make part of a value, or none"),
        ("store CANARY\nbucket: b", "line 2, column 7: …: a ': ' too many, which quotes make part of a value, or none"),
        ("store: [>CANARY]", "line 1, column 9: …."),
        ('feed: users\nstore: "CANARY\nbucket: b', "line 2, column 8: …: a quote that is opened here and never closed"),
        ("feed: users\nCANARY", "line 2, column 1: …: a name with no ': ' after it."),
        ("a:\n  b: CANARY\n c: CANARY", "line 3, column 2: …: names that belong together begin in one column."),
        ("store: 'CANARY' CANARY", "line 1, column 17: …: text where none can stand, mostly after a closing quote."),
        (r'store: "C:\CANARY"', "line 1, column 12: …: a backslash in double quotes; use single quotes."),
        ("store: %CANARY", "line 1, column 8: …: a value that begins with % needs quotes."),
        ("store: @CANARY", "line 1, column 8: …: a value that begins with @ needs quotes."),
        ("store: `CANARY", "line 1, column 8: …: a value that begins with ` needs quotes."),
        ("store: *CANARY", "line 1, column 8: …: a value that begins with * needs quotes."),
        ("store: !CANARY x", "line 1, column 8: …: a value that begins with ! needs quotes."),
        ("store: |CANARY", "line 1, column 9: …."),
        ("store: [CANARY\nb: CANARY", "line 2, column 2: …."),
        ("store: !<CANARY", "line 1, column 16: …."),
        ("store: &CANARY &CANARY x", "line 1, column 16: …."),
        ("store: \x01CANARY", "this is not valid YAML"),
    ],
)
def test_why_a_file_is_no_yaml_is_said_and_nothing_of_it_repeated(tmp_path, text, sentence):
    path = tmp_path / "feed.yaml"
    path.write_text(text.replace("CANARY", CANARY) + "\n")
    with pytest.raises(SettingsError) as caught:
        read_settings_file(path, {})
    assert sentence.replace("…", "this is not valid YAML in UTF-8") in str(caught.value)
    assert CANARY[0:2] not in str(caught.value).removeprefix(str(path))


@pytest.mark.rule("S9")
def test_a_variable_that_is_not_set_names_variable_and_field(everything):
    with pytest.raises(SettingsError, match=r"authorization\.secret_access_key: .* PX_SECRET is not set"):
        read_settings_file(everything, {"PX_CALLBACK_KEY": "x"})
    assert read_settings_file(everything, {}, lenient=True).feed == "users"


def test_who_looks_on_needs_no_signing_secret(everything):
    document = yaml.safe_load(everything.read_text())
    document["status_endpoint"]["signing_secret"] = "${PX_SIGNING_SECRET}"
    everything.write_text(yaml.safe_dump(document))
    with pytest.raises(SettingsError, match="PX_SIGNING_SECRET is not set"):
        read_settings_file(everything, {"PX_CALLBACK_KEY": "x", "PX_SECRET": "x"})
    assert read_settings_file(everything, {}, lenient=True).status_endpoint.signing_secret.get_secret_value() == ""


@pytest.mark.rule("S9")
@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "cannot be read"), ("{", "is not valid JSON"), ('[{"apiName": "x"}]', r"\[0\] \(x\)\.type: write one of")],
    ids=["no such file", "no JSON", "no type"],
)
def test_a_catalogue_that_cannot_be_used(tmp_path, content, sentence):
    if content is not None:
        (tmp_path / "c.json").write_text(content)
    path = written(tmp_path, {"catalogue": "c.json"})
    with pytest.raises(SettingsError, match=sentence):
        ImportSettings.from_file(path)
