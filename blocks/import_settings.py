"""The Prefect blocks of a feed: `ImportSettings`, with its credentials, its store and its attribute catalogue."""

from pathlib import Path
from typing import Any, Self, TypeVar, cast

from prefect.blocks.core import Block, schema_extra
from prefect.utilities.names import obfuscate
from prefect_aws import AwsCredentials
from pydantic import (
    ConfigDict,
    Field,
    SecretStr,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    field_serializer,
    field_validator,
    model_validator,
)

from blocks.authorization import refuse_contradictions, refuse_misspelt
from blocks.feed_settings import FeedSettings, SettingsFile, read_settings_file, settings_error
from blocks.forms import NOT_CHOSEN, Form, refuse_not_chosen, refuse_stars
from blocks.kept_schema import kept
from blocks.prefect_api import asking_prefect
from blocks.reading_settings import BLOCK_REFERENCE
from blocks.store_blocks import PostgresDatabase, SqliteFile, chosen_store
from schemas.catalogue import Catalogue, Entity, catalogue_of
from schemas.errors import SettingsError

_B = TypeVar("_B", bound=Block)

#: The order of the form in Prefect: what everybody fills in comes first.
_FORM = (
    *("feed", "entity", "bucket", "base_folder", "authorization", "region", "store", "destination"),
    *(
        "date_format",
        "catalogue",
        "blank_cells",
        "status_endpoint",
        "expected_by",
        "waiting_hours",
        "sse",
        "kms_key_id",
    ),
    *("endpoint_url", "sts_endpoint_url", "lease_seconds", "limits"),
)
#: What an empty document of a block that is chosen stands for.
_EMPTY = {"authorization": "the machine's own credentials", "catalogue": "PX's default attributes"}


class AttributeCatalogue(Block, Form):
    """The attributes that an entity of one PX subscription has; empty for PX's default attributes.

    Example:
        ```python
        from blocks.import_settings import AttributeCatalogue

        catalogue = AttributeCatalogue.load("BLOCK_NAME")
        ```
    """

    _block_type_name = "PX Attribute Catalogue"
    _block_type_slug = "px-attribute-catalogue"

    entries: list[dict[str, Any]] = Field(
        default_factory=list,
        title="Attributes",
        description='As PX serves them: [{"apiName": "score", "type": "NUMBER"}, …]. Empty: PX\'s default attributes.',
    )

    @model_validator(mode="after")
    def _readable(self) -> Self:
        try:
            if self.entries:
                Catalogue.parse(self.entries)
        except SettingsError as exc:
            raise ValueError(str(exc).rstrip(".")) from None
        return self


def _as_prefect_needs_it(schema: dict[str, Any], model: type[Block]) -> None:
    """Leave out of a flow's parameters what Prefect leaves out of a block's form, too, and name one more secret.

    Its check of a new deployment takes the `$ref` to a document for a setting: forbidden there, none could be deployed.
    A store that is a URL, as in older documents, holds a password; a chosen one has its own secrets (rule S10).
    """
    schema_extra(schema, model)
    schema.pop("additionalProperties", None)
    schema["secret_fields"].append("store")


class ImportSettings(FeedSettings, Block):
    """One feed: where its files are, how they are read, where its records go and who is told.

    Example:
        ```python
        from blocks.import_settings import ImportSettings

        settings = ImportSettings.load("BLOCK_NAME")
        ```
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, json_schema_extra=_as_prefect_needs_it)
    _block_type_name = "PX Import Settings"
    _block_type_slug = "px-import-settings"

    authorization: AwsCredentials = Field(
        default_factory=AwsCredentials,
        title="Authorization",
        description="AWS keys or role. An empty document: the machine's own credentials.",
        repr=False,  # prefect-aws keeps the session token as plain text
    )
    catalogue: AttributeCatalogue = Field(
        default_factory=AttributeCatalogue,
        title="Attribute catalogue",
        description="The attributes that the files may hold. An empty document: PX's own.",
    )
    store: SqliteFile | PostgresDatabase = Field(
        title="Store", description="Where records go, and the ledger of what was imported."
    )

    @field_validator("authorization", "catalogue", mode="before")
    @classmethod
    def _null_is_left_empty(cls, part: Any, info: ValidationInfo) -> Any:  # noqa: ANN401
        """Prefect's older form saves a block that was not chosen as null."""
        refuse_not_chosen(part, _EMPTY.get(info.field_name or "", ""))
        return {} if part is None else part

    @field_validator("store", mode="before")
    @classmethod
    def _of_its_kind(cls, store: Any) -> Any:  # noqa: ANN401
        try:
            return chosen_store(store)
        except SettingsError as exc:
            raise ValueError(exc.problem) from None

    @field_validator("authorization", mode="before")
    @classmethod
    def _well_spelt(cls, authorization: Any) -> Any:  # noqa: ANN401
        refuse_misspelt(authorization)
        return authorization

    @field_validator("authorization")
    @classmethod
    def _usable(cls, authorization: AwsCredentials) -> AwsCredentials:
        refuse_contradictions(authorization)
        refuse_stars(authorization.aws_secret_access_key)
        return authorization

    @field_serializer("authorization", mode="wrap")
    def _without_token(
        self, authorization: AwsCredentials, render: SerializerFunctionWrapHandler, context: SerializationInfo
    ) -> Any:  # noqa: ANN401
        """Hide the session token, plain text to prefect-aws, where Prefect notes down a run's parameters (rule S10)."""
        shown = render(authorization)
        if authorization.aws_session_token and not (context.context or {}).get("include_secrets"):
            shown["aws_session_token"] = obfuscate(authorization.aws_session_token)
        return shown

    @classmethod
    @kept
    def model_json_schema(cls, *args: Any, **options: Any) -> dict[str, Any]:  # noqa: ANN401
        """The form in Prefect: in its order, and each part titled as the field, not as its class."""
        schema = super().model_json_schema(*args, **options)
        fields, definitions = schema["properties"], schema["definitions"]
        schema["required"] = [*schema["required"], *_EMPTY]
        schema["properties"] = {name: fields[name] | {"position": place} for place, name in enumerate(_FORM)}
        for field in fields.values():
            part = definitions.get(field.get("$ref", "").rpartition("/")[2], {"block_type_slug": ""})
            if "block_type_slug" not in part:  # Prefect finds a block by its title
                part.update({key: field[key] for key in ("title", "description") if key in field})
        return schema

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:  # noqa: ANN401
        """Read a document.

        Raises:
            SettingsError: it is wrong; a run then says so, where Prefect would drop what a `ValidationError` says.
        """
        if isinstance(obj, dict):
            obj = dict.fromkeys(("store", *_EMPTY), NOT_CHOSEN) | obj
        try:
            return super().model_validate(obj, **options)
        except ValidationError as exc:
            feed = obj.get("feed", "") if isinstance(obj, dict) else ""
            raise settings_error(exc, cls, f"{cls._block_type_slug}/{feed}".rstrip("/")) from None

    @property
    def attribute_catalogue(self) -> Catalogue:
        """The catalogue as the validation reads it."""
        entries = self.catalogue.entries
        return catalogue_of(entries, self.entity)

    @property
    def store_url(self) -> SecretStr:
        """For `open_store`."""
        return self.store.url

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """The settings of a YAML file; `catalogue: block:NAME` is loaded from Prefect.

        Raises:
            SettingsError: the file is wrong, by its field (rule S9).
        """
        return cls.of(read_settings_file(path), path)

    @classmethod
    def of(cls, file: SettingsFile, path: Path = Path()) -> Self:
        """The settings of a YAML file that was read from this path; its catalogue lies relative to that.

        Raises:
            SettingsError: as for `from_file`.
        """
        parts = {name: getattr(file, name) for name in FeedSettings.model_fields}
        try:
            catalogue = _catalogue(file, path.parent)
            return cls(**parts, authorization=file.authorization.as_block(), catalogue=catalogue, store=file.store)
        except ValidationError as exc:
            raise settings_error(exc, cls, str(path)) from None

    @classmethod
    def from_document(cls, name: str) -> Self:
        """The settings of a block document.

        Raises:
            SettingsError: there is no such document, or it is wrong.
        """
        return _load(cls, name)


def _catalogue(file: SettingsFile, folder: Path) -> AttributeCatalogue:
    if file.catalogue.startswith(BLOCK_REFERENCE):
        return _load(AttributeCatalogue, file.catalogue.removeprefix(BLOCK_REFERENCE))
    return AttributeCatalogue(entries=file.catalogue_entries(folder))


def _load(kind: type[_B], name: str) -> _B:
    """A block document of Prefect.

    Raises:
        SettingsError: there is no such document, it is wrong, or the server cannot be asked.
    """
    source = f"{kind.get_block_type_slug()}/{name}"
    try:
        with asking_prefect():
            block = cast("Any", kind).load(name, _sync=True)  # also where a flow's event loop runs
    except ValueError:
        raise SettingsError("", "there is no such block document; save it first", source=source) from None
    except RuntimeError as exc:
        if isinstance(exc.__cause__, ValidationError):
            raise settings_error(exc.__cause__, kind, source) from None
        raise
    return cast(_B, block)


def load_catalogue(reference: str, entity: Entity) -> Catalogue:
    """The catalogue that a settings file names as `block:NAME`.

    Raises:
        SettingsError: there is no such document, or it is wrong.
    """
    entries = _load(AttributeCatalogue, reference.removeprefix(BLOCK_REFERENCE)).entries
    return catalogue_of(entries, entity, reference)
