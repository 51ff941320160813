"""`px-import apply --automations`: a file of automations becomes Prefect's, each once, however often it is saved."""

from pathlib import Path
from typing import Any

import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events.schemas.automations import AutomationCore
from pydantic import ValidationError

from blocks.prefect_api import asking_prefect
from schemas.errors import SettingsError

SHIPPED = Path(__file__).with_name("automations.yaml")
_WEBHOOK = "webhook"
#: What a webhook gets; a notification block has fields of its own for both.
_PAYLOAD = (
    "{{% set subject %}}{subject}{{% endset %}}{{% set body %}}{body}{{% endset %}}"
    '{{"subject": {{{{ subject | tojson }}}}, "body": {{{{ body | tojson }}}}}}'
)


def apply_automations(path: Path, notify: str) -> int:
    """Create the file's automations, or update those of the same names; others are not touched.

    One that a person has switched off stays off.

    Args:
        path: the file.
        notify: block document that carries the messages, `slack-webhook/ops`; empty: the one that the file names.

    Raises:
        SettingsError: the file or the block is wrong, and nothing was saved; or the Prefect server cannot be used.
    """
    entries, notify = _read(path, notify)
    with asking_prefect(), get_client(sync_client=True) as client:
        block = _block_id(client, notify) if any("notify" in entry for entry in entries) else ""
        wanted = [_automation(entry, notify, block, str(path)) for entry in entries]
        for automation in wanted:
            print(f"{_save(client, automation)} automation {automation.name!r}")
    return 0


def _read(path: Path, notify: str) -> tuple[list[dict[str, Any]], str]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise SettingsError("--automations", f"{path} cannot be read ({exc.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise SettingsError("--automations", f"{path} is not valid YAML in UTF-8") from None
    entries = document.get("automations") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise SettingsError("--automations", f"{path} has no list of automations; settings files go before the option")
    return entries, notify or document.get("notify") or ""


def _block_id(client: SyncPrefectClient, notify: str) -> str:
    kind, slash, name = notify.partition("/")
    if not (kind and slash and name):
        raise SettingsError("--notify", "name the block document that carries the messages, like slack-webhook/ops")
    documents = client.read_block_documents_by_type(kind, include_secrets=False)
    found = [document.id for document in documents if document.name == name]
    if not found:
        raise SettingsError("--notify", f"there is no block document {notify}; make it in Prefect under Blocks")
    return str(found[0])


def _automation(entry: dict[str, Any], notify: str, block: str, source: str) -> AutomationCore:
    parts = dict(entry)
    message, name = parts.pop("notify", None), str(entry.get("name", "an automation without a name"))
    if message is not None and not (isinstance(message, dict) and message.keys() == {"subject", "body"}):
        raise SettingsError(f"{name}.notify", "give it a subject and a body", source=source)
    told = [_telling(message, notify, block)] if message else []
    try:
        return AutomationCore.model_validate({**parts, "actions": [*(parts.get("actions") or []), *told]})
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, [name, *first["loc"]]))
        raise SettingsError(place, first["msg"][0].lower() + first["msg"][1:], source=source) from None


def _telling(message: dict[str, str], notify: str, block: str) -> dict[str, str]:
    if notify.partition("/")[0] == _WEBHOOK:
        return {"type": "call-webhook", "block_document_id": block, "payload": _PAYLOAD.format(**message)}
    return {"type": "send-notification", "block_document_id": block, **message}


def _save(client: SyncPrefectClient, wanted: AutomationCore) -> str:
    """Save what differs; what was done."""
    same_name = client.read_automations_by_name(wanted.name)
    if not same_name:
        client.create_automation(wanted)
        return "created"
    there = same_name[0]
    wanted = wanted.model_copy(update={"enabled": there.enabled})
    if _content(there) == _content(wanted):
        return "unchanged"
    # all of it but the owner, which cannot be changed: Prefect sends only what was set
    client.update_automation(there.id, AutomationCore.model_validate(wanted.model_dump(exclude={"owner_resource"})))
    return "updated"


def _content(automation: AutomationCore) -> Any:  # noqa: ANN401 - JSON
    return _without_ids(AutomationCore.model_validate(automation.model_dump()).model_dump(mode="json"))


def _without_ids(part: Any) -> Any:  # noqa: ANN401 - JSON
    """Prefect gives each trigger an id of its own; sets come in any order."""
    if isinstance(part, dict):
        return {key: _without_ids(value) for key, value in part.items() if key != "id"}
    if isinstance(part, list):
        return sorted((_without_ids(value) for value in part), key=str)
    return part
