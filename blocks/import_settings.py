"""The Prefect blocks of a feed: `ImportSettings`, with its credentials and its attribute catalogue."""

from pathlib import Path
from typing import Any, Self, TypeVar, cast

from prefect.blocks.core import Block, schema_extra
from prefect.utilities.names import obfuscate
from prefect_aws import AwsCredentials
from pydantic import (
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)

from blocks.authorization import refuse_contradictions, refuse_misspelt
from blocks.feed_settings import BLOCK_REFERENCE, FeedSettings, SettingsFile, read_settings_file, settings_error
from schemas.catalogue import Catalogue, Entity, catalogue_of
from schemas.errors import SettingsError

_B = TypeVar("_B", bound=Block)

#: The order of the form in Prefect: what everybody fills in comes first.
_FORM = (
    *("feed", "entity", "bucket", "base_folder", "authorization", "region", "endpoint_url", "destination"),
    *("date_format", "catalogue", "store", "status_endpoint", "blank_cells", "sse", "kms_key_id"),
    *("sts_endpoint_url", "lease_seconds", "limits"),
)


class AttributeCatalogue(Block):
    """The attributes that an entity of one PX subscription has; empty for PX's default attributes.

    Example:
        ```python
        from blocks.import_settings import AttributeCatalogue

        catalogue = AttributeCatalogue.load("BLOCK_NAME")
        ```
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    _block_type_name = "PX Attribute Catalogue"
    _block_type_slug = "px-attribute-catalogue"

    entries: list[dict[str, Any]] = Field(
        default_factory=list,
        title="Attributes",
        description='As PX serves them: [{"apiName": "score", "type": "NUMBER"}, …]. Empty: PX\'s default attributes.',
    )

    @model_validator(mode="before")
    @classmethod
    def _slug_is_no_setting(cls, values: Any) -> Any:  # noqa: ANN401
        """Prefect writes the slug into a block that it stores as part of another one."""
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if name != "block_type_slug"}

    @model_validator(mode="after")
    def _readable(self) -> Self:
        try:
            if self.entries:
                Catalogue.parse(self.entries)
        except SettingsError as exc:
            raise ValueError(str(exc).rstrip(".")) from None
        return self


def _without_additional(schema: dict[str, Any], model: type[Block]) -> None:
    """Leave out of a flow's parameters what Prefect leaves out of a block's form, too.

    Its check of a new deployment takes the `$ref` to a document for a setting: forbidden there, none could be deployed.
    """
    schema_extra(schema, model)
    schema.pop("additionalProperties", None)


class ImportSettings(FeedSettings, Block):
    """One feed: where its files are, how they are read, where its records go and who is told.

    Example:
        ```python
        from blocks.import_settings import ImportSettings

        settings = ImportSettings.load("BLOCK_NAME")
        ```
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, json_schema_extra=_without_additional)
    _block_type_name = "PX Import Settings"
    _block_type_slug = "px-import-settings"

    authorization: AwsCredentials = Field(
        default_factory=AwsCredentials,
        title="Authorization",
        description="AWS keys or role; left empty: the machine's own credentials.",
        repr=False,  # prefect-aws keeps the session token as plain text
    )
    catalogue: AttributeCatalogue = Field(
        default_factory=AttributeCatalogue,
        title="Attribute catalogue",
        description="The attributes that the files may hold.",
    )

    @field_validator("authorization", "catalogue", mode="before")
    @classmethod
    def _null_is_left_empty(cls, part: Any) -> Any:  # noqa: ANN401
        """Prefect's form saves a block that was not chosen as null."""
        return {} if part is None else part

    @field_validator("authorization", mode="before")
    @classmethod
    def _well_spelt(cls, authorization: Any) -> Any:  # noqa: ANN401
        refuse_misspelt(authorization)
        return authorization

    @field_validator("authorization")
    @classmethod
    def _usable(cls, authorization: AwsCredentials) -> AwsCredentials:
        refuse_contradictions(authorization)
        # Prefect's newer form saves, in place of the chosen block, what it shows of it: stars for the secret.
        secret = authorization.aws_secret_access_key
        if secret and secret.get_secret_value() == obfuscate(secret.get_secret_value()):
            raise ValueError("saving in the browser has put stars in place of the secret; choose the block again")
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
    def model_json_schema(cls, *args: Any, **options: Any) -> dict[str, Any]:  # noqa: ANN401
        """The form in Prefect: in its order, and each part titled as the field, not as its class."""
        schema = super().model_json_schema(*args, **options)
        fields, definitions = schema["properties"], schema["definitions"]
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
            return cls(**parts, authorization=file.authorization.as_block(), catalogue=_catalogue(file, path.parent))
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
    """A block document of Prefect."""
    source = f"{kind.get_block_type_slug()}/{name}"
    try:
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


def saved_feeds() -> list[str]:
    """Names of the feeds that Prefect has documents of."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        documents = client.read_block_documents_by_type(ImportSettings.get_block_type_slug(), include_secrets=False)
    return sorted(document.name for document in documents if document.name)
