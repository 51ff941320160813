"""`px-import iam`: the rights that AWS must grant a feed, filled in from its settings."""

import json
from pathlib import Path

from blocks.feed_settings import read_settings_file
from schemas.iam import ROLE, TRUSTED, Access, terraform


def iam(path: Path, *, trusted: str, as_terraform: bool) -> int:
    """Print the documents; no secret is needed, nor shown.

    Args:
        path: the feed's settings file; a `${NAME}` may be unset.
        trusted: ARN of who assumes the role; empty for a placeholder.
        as_terraform: print HCL.

    Returns:
        0.

    Raises:
        SettingsError: the settings are wrong.
    """
    settings = read_settings_file(path, lenient=True)
    access = Access(
        zone=settings.zone,
        role_arn=settings.authorization.role_arn or ROLE,
        trusted=trusted or TRUSTED,
        external_id=settings.authorization.external_id,
        kms_key_id=settings.kms_key_id,
        region=settings.region,
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
