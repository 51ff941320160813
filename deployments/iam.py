"""`px-import iam`: the rights that AWS must grant a feed, filled in from its settings."""

import json
import re
from pathlib import Path

from blocks.feed_settings import rights_settings
from schemas.errors import SettingsError
from schemas.iam import ROLE, TRUSTED, Access, terraform

_PRINCIPAL = r"arn:aws[a-z-]*:iam::[0-9]{12}:(root|(user|role)/[A-Za-z0-9+=,.@_/-]+)"


def iam(path: Path, *, trusted: str, as_terraform: bool) -> int:
    """Print the documents; no secret is needed, nor shown.

    Args:
        path: the feed's settings file; a `${NAME}` may be unset where it does not decide which rights there are.
        trusted: ARN of who assumes the role; empty for a placeholder.
        as_terraform: print HCL.

    Returns:
        0.

    Raises:
        SettingsError: the settings or `trusted` are wrong.
    """
    if trusted and not re.fullmatch(_PRINCIPAL, trusted):
        problem = "name a user, a role or a whole account, like arn:aws:iam::210987654321:user/importer"
        raise SettingsError("--trust", problem)
    settings = rights_settings(path)
    access = Access(
        zone=settings.zone,
        role_arn=settings.authorization.role_arn or ROLE,
        trusted=trusted or TRUSTED,
        external_id=settings.authorization.external_id,
        kms_key_id=settings.kms_key_id,
        region=settings.region,
        feed=settings.feed,
    )
    if as_terraform:
        print(terraform(access), end="")
    else:
        documents = {
            "rolePolicy": access.role_policy(),
            "trustRelationship": access.trust_policy(),
            "bucketPolicy": access.bucket_policy(),
        }
        print(json.dumps(documents, indent=2, ensure_ascii=False))
    return 0
