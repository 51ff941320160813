"""The Prefect blocks of a feed: `ImportSettings`, with its credentials and its attribute catalogue."""

from pathlib import Path
from typing import Any, Self, TypeVar, cast

from prefect.blocks.core import Block
from prefect_aws import AwsCredentials
from pydantic import ConfigDict, Field, ValidationError, model_validator

from blocks.feed_settings import BLOCK_REFERENCE, FeedSettings, SettingsFile, read_settings_file, settings_error
from schemas.catalogue import Catalogue, Entity, default_catalogue
from schemas.errors import SettingsError

_B = TypeVar("_B", bound=Block)


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

    @model_validator(mode="after")
    def _readable(self) -> Self:
        try:
            Catalogue.parse(self.entries)
        except SettingsError as exc:
            raise ValueError(str(exc).rstrip(".")) from None
        return self


class ImportSettings(FeedSettings, Block):
    """One feed: where its files are, how they are read, where its records go and who is told.

    Example:
        ```python
        from blocks.import_settings import ImportSettings

        settings = ImportSettings.load("BLOCK_NAME")
        ```
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    _block_type_name = "PX Import Settings"
    _block_type_slug = "px-import-settings"

    authorization: AwsCredentials = Field(
        default_factory=AwsCredentials,
        title="Authorization",
        description="AWS keys or role; left empty: the machine's own credentials.",
    )
    catalogue: AttributeCatalogue = Field(
        default_factory=AttributeCatalogue,
        title="Attribute catalogue",
        description="The attributes that the files may hold.",
    )

    @property
    def attribute_catalogue(self) -> Catalogue:
        """The catalogue as the validation reads it."""
        entries = self.catalogue.entries
        return Catalogue.parse(entries) if entries else default_catalogue(self.entity)

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """The settings of a YAML file; `catalogue: block:NAME` is loaded from Prefect.

        Raises:
            SettingsError: the file is wrong, by its field (rule S9).
        """
        file = read_settings_file(path)
        parts = {name: getattr(file, name) for name in FeedSettings.model_fields}
        try:
            return cls(**parts, authorization=_credentials(file), catalogue=_catalogue(file, path.parent))
        except ValidationError as exc:
            raise settings_error(exc, cls, str(path)) from None

    @classmethod
    def from_document(cls, name: str) -> Self:
        """The settings of a block document.

        Raises:
            SettingsError: there is no such document, or it is wrong.
        """
        return _load(cls, name)


def _credentials(file: SettingsFile) -> AwsCredentials:
    """The file's authorization as prefect-aws keeps it."""
    given = file.authorization
    return AwsCredentials(
        aws_access_key_id=given.access_key_id or None,
        aws_secret_access_key=given.secret_access_key if given.access_key_id else None,
        aws_session_token=given.session_token.get_secret_value() or None,
        assume_role_arn=given.role_arn or None,
        assume_role_kwargs={"ExternalId": given.external_id} if given.external_id else {},
    )


def _catalogue(file: SettingsFile, folder: Path) -> AttributeCatalogue:
    if file.catalogue.startswith(BLOCK_REFERENCE):
        return _load(AttributeCatalogue, file.catalogue.removeprefix(BLOCK_REFERENCE))
    return AttributeCatalogue(entries=file.catalogue_entries(folder))


def _load(kind: type[_B], name: str) -> _B:
    """A block document of Prefect."""
    source = f"{kind.get_block_type_slug()}/{name}"
    try:
        block = kind.load(name)
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
    return Catalogue.parse(entries, source=reference) if entries else default_catalogue(entity)


def saved_feeds() -> list[str]:
    """Names of the feeds that Prefect has documents of."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        documents = client.read_block_documents_by_type(ImportSettings.get_block_type_slug(), include_secrets=False)
    return sorted(document.name for document in documents if document.name)
