"""The feeds that Prefect has documents of, read a page at a time: a call for two hundred, not one for each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blocks.import_settings import ImportSettings
from schemas.drop_zone import DropZone
from schemas.errors import SettingsError
from schemas.shards import WHOLE, Shard

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

#: As many as Prefect's server gives at once.
PAGE = 200


@dataclass(frozen=True, slots=True)
class SavedFeed:
    """One document.

    Attributes:
        name: of the document.
        subscription: what feeds of one PX subscription have in common.
        settings: what it says, or the fault that stands in it.
    """

    name: str
    subscription: str
    settings: ImportSettings | SettingsError

    @property
    def usable(self) -> ImportSettings:
        """The settings.

        Raises:
            SettingsError: the document is wrong.
        """
        if isinstance(self.settings, SettingsError):
            raise self.settings
        return self.settings


def saved_feeds(names: Sequence[str] = (), prefix: str = "", shard: Shard = WHOLE) -> Iterator[SavedFeed]:
    """The feeds that are saved, in the order of their names; a wrong document spoils no other (rule R3).

    Args:
        names: only these; one that is missing is named in its place. Empty: all.
        prefix: only those whose names begin so.
        shard: only those whose subscriptions belong to it; what the others say is not even looked at.
    """
    from prefect.client.orchestration import get_client

    found = set[str]()
    with get_client(sync_client=True) as client:
        for name, content in _documents(client, names, prefix):
            found.add(name)
            if shard.has(subscription := subscription_of(name, content)):
                yield SavedFeed(name, subscription, _settings(name, content))
    for name in sorted(set(names) - found):
        if name.startswith(prefix) and shard.has(f"feed {name}"):
            source = f"{ImportSettings.get_block_type_slug()}/{name}"
            missing = SettingsError("", "there is no such block document; save it first", source=source)
            yield SavedFeed(name, f"feed {name}", missing)


def subscription_of(name: str, content: Mapping[str, Any]) -> str:
    """What tells a feed's subscription: the external id of its role, which is the subscription's; else its siblings.

    Without a role, the feeds of a subscription lie side by side: the folder above the base folder is the same. Where
    not even that can be read, a feed stands alone.

    Args:
        name: of the document.
        content: of the document, which may hold anything.
    """
    external_id = _part(_part(_part(content, "authorization"), "assume_role_kwargs"), "ExternalId")
    bucket, base_folder = content.get("bucket"), content.get("base_folder", "")
    if external_id:
        return f"external id {external_id}"
    if not (isinstance(bucket, str) and isinstance(base_folder, str) and bucket.strip("/")):
        return f"feed {name}"
    zone = DropZone.parse(bucket, base_folder)
    return zone.url(zone.root.rpartition("/")[0])


def _part(content: Any, name: str) -> Any:  # noqa: ANN401
    return content.get(name) if isinstance(content, Mapping) else None


def _documents(
    client: "SyncPrefectClient", names: Sequence[str], prefix: str
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name and content of each document. One that is saved or deleted meanwhile may be missed, until the next time."""
    asked: dict[str, Any] = {"block_types": {"slug": {"any_": [ImportSettings.get_block_type_slug()]}}}
    asked["include_secrets"], asked["limit"] = True, PAGE
    for start in range(0, len(names), PAGE) if names else [0]:
        wanted = {"any_": list(names[start : start + PAGE])} if names else {"like_": prefix or None}
        seen = set[str]()
        for offset in range(0, 1_000_000, PAGE):
            body = {**asked, "offset": offset, "block_documents": {"name": wanted}}
            page = client.request("POST", "/block_documents/filter", json=body).json()
            for document in page:
                name = document["name"]
                if name and name.startswith(prefix) and name not in seen:  # `like_` looks anywhere in the name
                    seen.add(name)
                    yield name, document["data"]
            if len(page) < PAGE:
                break


def _settings(name: str, content: Mapping[str, Any]) -> ImportSettings | SettingsError:
    try:
        return ImportSettings.model_validate(content)
    except SettingsError as exc:
        return SettingsError(exc.field, exc.problem, source=f"{ImportSettings.get_block_type_slug()}/{name}")
