"""The settings of one feed, as a YAML file and as the parts that its Prefect block shares (rules S1 to S9)."""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from blocks.authorization import Authorization
from blocks.reading_settings import ReadingSettings
from blocks.status_endpoint import StatusEndpoint
from blocks.stores import open_store
from schemas.daily_hour import DailyHour
from schemas.drop_zone import DropZone
from schemas.errors import SettingsError
from schemas.settings import FileSettings

#: What Prefect allows as the name of a block document, and the ledger as the name of a feed.
FEED_NAME = r"^[a-z0-9]+(-[a-z0-9]+)*$"
LONGEST_FEED_NAME = 100
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def _daily_hour(text: str) -> str:
    if text:
        DailyHour.parse(text)
    return text


class FeedSettings(FileSettings):
    """Everything about a feed but its AWS credentials, its catalogue and its store."""

    feed: Annotated[str, StringConstraints(pattern=FEED_NAME, max_length=LONGEST_FEED_NAME)] = Field(
        title="Feed", description="Name of the feed and of its block document: lower-case letters, digits, dashes."
    )
    bucket: Annotated[str, StringConstraints(pattern=r"^/*[A-Za-z0-9][A-Za-z0-9._-]*(/.*)?$")] = Field(
        title="S3 bucket name", description="Name of the bucket and any sub-folders, like ABC123/export."
    )
    base_folder: str = Field(
        "", title="Base folder", description="Path below the bucket that holds current/ and processed/."
    )
    region: str = Field("", title="Region", description="AWS region of the bucket; empty: the machine's own setting.")
    endpoint_url: Annotated[str, StringConstraints(pattern=r"^(https?://[^/\s]+/?)?$")] = Field(
        "", title="Endpoint URL", description="Only for S3-compatible stores, like http://127.0.0.1:8333."
    )
    sts_endpoint_url: Annotated[str, StringConstraints(pattern=r"^(https?://[^/\s]+/?)?$")] = Field(
        "",
        title="STS endpoint URL",
        description="Only where roles are assumed elsewhere than at AWS's public address, like https://sts.example.com.",
    )
    sse: Literal["", "AES256", "aws:kms", "aws:kms:dsse"] = Field(
        "",
        title="Server-side encryption",
        description="Asked for on every write. Left empty: what the bucket does by itself.",
    )
    kms_key_id: str = Field("", title="KMS key id", description="Key for aws:kms; empty: the bucket's default key.")
    status_endpoint: StatusEndpoint = Field(
        default_factory=StatusEndpoint, title="Status endpoint", description="Who is told when a delivery is done."
    )
    expected_by: Annotated[str, AfterValidator(_daily_hour)] = Field(
        "",
        title="Expected by",
        description="Hour by which a delivery comes each day, like 06:00 (UTC) or 06:00 Europe/Berlin; empty: at any.",
    )
    waiting_hours: Annotated[int, Field(ge=0, le=8760)] = Field(
        3,
        title="Waiting",
        description="Hours after which an event tells of a folder with files and no marker, or the other way round.",
    )
    lease_seconds: Annotated[int, Field(ge=5, le=840)] = Field(
        300, title="Lease", description="Seconds after which another run may take over a feed whose run has died."
    )

    @property
    def zone(self) -> DropZone:
        """The drop zone that bucket and base folder name (rule S2)."""
        return DropZone.parse(self.bucket, self.base_folder)

    @model_validator(mode="after")
    def _key_has_its_mode(self) -> Self:
        if self.kms_key_id and not self.sse.startswith("aws:kms"):
            raise ValueError("kms_key_id needs sse: aws:kms")
        return self


class SettingsFile(FeedSettings, ReadingSettings):
    """One YAML file: the contract for scripts."""

    authorization: Authorization = Field(
        default_factory=Authorization, description="Keys or a role; left out: the machine's own credentials."
    )
    store: SecretStr = Field(
        description="Where records go, like sqlite:////var/lib/px-import/px.db "
        "or postgresql://user:password@host/database?schema=px."
    )

    @field_validator("store")
    @classmethod
    def _is_store(cls, store: SecretStr) -> SecretStr:
        try:
            open_store(store.get_secret_value())
        except SettingsError as exc:
            raise ValueError(exc.problem) from None
        return store

    @property
    def store_url(self) -> SecretStr:
        """For `open_store`."""
        return self.store


def read_settings_file(
    path: Path, environment: Mapping[str, str] = os.environ, *, lenient: bool = False
) -> SettingsFile:
    """Read and check a settings file.

    Args:
        path: the YAML file.
        environment: where `${NAME}` is looked up, in any value.
        lenient: leave a `${NAME}` that is not set as it stands, or out; for those who look on and need no secret.

    Raises:
        SettingsError: the first thing that is wrong, by its field (rule S9).
    """
    filled = _filled(_document(path), environment, "", str(path), lenient=lenient)
    try:
        return SettingsFile.model_validate(filled)
    except ValidationError as exc:
        raise settings_error(exc, SettingsFile, str(path)) from None


def rights_settings(path: Path, environment: Mapping[str, str] = os.environ) -> SettingsFile:
    """The settings that decide which rights a feed needs; stand-ins for the rest, which may be unset or wrong.

    The feed's name decides none: it is empty where it is missing or wrong.

    Raises:
        SettingsError: one of these is wrong or needs a variable that is not set, or a name is misspelt.
    """
    document = _document(path)
    parts = _parts(document, SettingsFile, {"bucket", "base_folder", "region", "sse", "kms_key_id"})
    if isinstance(authorization := document.get("authorization"), dict):
        parts["authorization"] = _parts(authorization, Authorization, {"role_arn", "external_id"})
    filled = _filled(parts, environment, "", str(path), lenient=False)
    feed = str(_filled(document.get("feed"), environment, "feed", str(path), lenient=True))
    is_name = re.fullmatch(FEED_NAME, feed) and len(feed) <= LONGEST_FEED_NAME
    try:
        settings = SettingsFile.model_validate({**_STAND_INS, **filled})
        return settings.model_copy(update={"feed": feed if is_name else ""})
    except ValidationError as exc:
        raise settings_error(exc, SettingsFile, str(path)) from None


_STAND_INS = {"feed": "any", "destination": {"product": "AP-X"}, "store": "sqlite:////unused.db"}


def _parts(document: Mapping[str, Any], model: type[BaseModel], wanted: set[str]) -> dict[str, Any]:
    """The wanted settings, and what is misspelt."""
    return {name: part for name, part in document.items() if name in wanted or name not in model.model_fields}


def reading_parts(path: Path, environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The parts of a settings file that decide how files are read, and any that no settings file has.

    Nothing is validated here. Bucket, store, secrets and what else a check does without may be wrong, unset or missing.

    Raises:
        SettingsError: the file cannot be read, or one of these parts needs a variable that is not set.
    """
    parts = _parts(_document(path), SettingsFile, {*ReadingSettings.model_fields})
    return dict(_filled(parts, environment, "", str(path), lenient=False))


class _KeyTwice(yaml.MarkedYAMLError):
    """YAML itself lets the last one win."""


class _NoKeyTwice(yaml.SafeLoader):
    """Refuses a name that is given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set[str]()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise _KeyTwice(problem=f"{name!r} is given twice; keep one", problem_mark=key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


#: By the beginning of PyYAML's own words, which go on with a piece of the file, and that may be one of a secret.
_YAML_REASONS = {
    r"found character '\t'": "a tab; write blanks in its place",
    **{f"found character {sign!r}": f"a value that begins with {sign} needs quotes" for sign in "%@`"},
    "mapping values are not allowed": "a ': ' too many, which quotes make part of a value, or none in the line before",
    "found unexpected end of stream": "a quote that is opened here and never closed",
    "could not find expected ':'": "a name with no ': ' after it",
    "found unknown escape character": "a backslash in double quotes; use single quotes",
    "found undefined alias": "a value that begins with * needs quotes",
    "could not determine a constructor": "a value that begins with ! needs quotes",
    "expected <block end>, but found '<block mapping start>'": "names that belong together begin in one column",
    "expected <block end>, but found '<scalar>'": "text where none can stand, mostly after a closing quote",
}
#: What PyYAML notices at a later place.
_BEGAN_BEFORE = ("found unexpected end of stream", "could not find expected ':'")


def _document(path: Path) -> dict[str, Any]:
    """The mapping that a settings file holds."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), _NoKeyTwice)  # noqa: S506 - a safe loader
    except OSError as exc:
        raise SettingsError("", f"the settings file cannot be read ({exc.strerror})", source=str(path)) from None
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise _not_yaml(exc, str(path)) from None
    if not isinstance(document, dict):
        raise SettingsError("", "a settings file starts with a line like 'feed: users'", source=str(path))
    return document


def _not_yaml(exc: yaml.YAMLError | UnicodeDecodeError, source: str) -> SettingsError:
    """Where the file cannot be read as YAML, and why, where that is known; no piece of it is repeated (rule S10)."""
    said = str(getattr(exc, "problem", ""))
    mark = getattr(exc, "context_mark" if said in _BEGAN_BEFORE else "problem_mark", None)
    place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    if isinstance(exc, _KeyTwice):
        return SettingsError(place, said, source=source)
    reason = next((reason for begins, reason in _YAML_REASONS.items() if said.startswith(begins)), "")
    problem = f"this is not valid YAML in UTF-8: {reason}" if reason else "this is not valid YAML in UTF-8"
    return SettingsError(place, problem, source=source)


def _filled(value: Any, environment: Mapping[str, str], place: str, source: str, *, lenient: bool) -> Any:  # noqa: ANN401
    """The YAML value with every `${NAME}` replaced."""
    if isinstance(value, dict):
        return {
            key: _filled(part, environment, f"{place}.{key}".lstrip("."), source, lenient=lenient)
            for key, part in value.items()
        }
    if isinstance(value, list):
        return [_filled(part, environment, f"{place}[{i}]", source, lenient=lenient) for i, part in enumerate(value)]
    if not isinstance(value, str):
        return value
    for name in _VARIABLE.findall(value):
        if name in environment:
            continue
        if not lenient:
            raise SettingsError(place, f"the environment variable {name} is not set; export it first", source=source)
        if place == "status_endpoint.signing_secret":
            return ""  # a `${NAME}` is no key, and would be refused as one
    return _VARIABLE.sub(lambda match: environment.get(match[1], match[0]), value)


_PARTS = "this has settings of its own; write each on an indented line below it"
_TRUTH = "true or false is wanted here"
_WHOLE = "a whole number is wanted here"
_NUMBER = "a number is wanted here"
_CHOICE = "this must be {expected}"
#: By Pydantic's name of the fault; it gives what is in braces.
_WORDINGS = {
    "missing": "this setting is missing; add it",
    "string_type": "a text is wanted here; put the value in quotes, or leave the line out",
    "string_too_long": "this must have at most {max_length} characters",
    "list_type": "a list is wanted here; write [one, two], or each on a line of its own after a dash",
    "greater_than": "this must be more than {gt}",
    "greater_than_equal": "this must be {ge} or more",
    "less_than_equal": "this must be {le} or less",
    "model_type": _PARTS,
    "dict_type": _PARTS,
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "enum": _CHOICE,
    "literal_error": _CHOICE,
}


def settings_error(exc: ValidationError, model: type[BaseModel], source: str) -> SettingsError:
    """The first fault of a validation as one sentence with field and cure, without the input (rule S10)."""
    errors = exc.errors(include_input=False, include_url=False)
    # A misspelt name tells more than the setting that is missing because of it.
    first = next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])
    place = ".".join(str(part) for part in first["loc"])
    problem = _wording(first, model)
    return SettingsError(place, problem.rstrip(".?") + ("?" if problem.endswith("?") else ""), source=source)


def _wording(error: ErrorDetails, model: type[BaseModel]) -> str:
    """What is wrong with a setting and what to write instead."""
    *path, name = error["loc"] or ("",)
    bounds = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            close = difflib.get_close_matches(str(name), list(_fields(model, tuple(path))), 1)
            return "there is no such setting" + (f"; did you mean {close[0]!r}?" if close else "; remove it")
        case "string_pattern_mismatch":
            field = _fields(model, tuple(path)).get(str(name))
            hint = field.description if field and field.description else ""
            return "this does not have the right form" + (f": {hint[0].lower()}{hint[1:]}" if hint else "")
        case "value_error":
            return str(bounds["error"]).partition("\n")[0]  # what follows is a drawing of the place
        case kind if kind in _WORDINGS:
            return _WORDINGS[kind].format(**bounds)
        case _:
            return error["msg"][0].lower() + error["msg"][1:]


def _fields(model: type[BaseModel], path: tuple[int | str, ...]) -> dict[str, FieldInfo]:
    """The fields at a place of the settings, by name; where one of several blocks may stand, those of all."""
    models = [model]
    for part in path:
        annotations = [each.model_fields[str(part)].annotation for each in models if str(part) in each.model_fields]
        kinds = [kind for annotation in annotations for kind in get_args(annotation) or (annotation,)]
        models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return {name: field for each in models for name, field in each.model_fields.items()}
