"""Who the importer is to AWS, as people write it: in a settings file, or in prefect-aws's block (rule S3).

Both say the same: keys, a profile of the machine or nothing, and perhaps a role that is assumed with these.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator

from schemas.settings import Strict

if TYPE_CHECKING:
    from prefect_aws import AwsCredentials

_ROLE_ARN = r"^(arn:aws[a-z-]*:iam::\d{12}:role/\S+)?$"


class Authorization(Strict):
    """Who the importer is to AWS; left out: the machine's own credentials (rule S3)."""

    access_key_id: str = Field("", description="Of a user, or of temporary credentials.")
    secret_access_key: SecretStr = Field(SecretStr(""), description="That goes with it.")
    session_token: SecretStr = Field(SecretStr(""), description="Only with temporary credentials.")
    profile: str = Field("", description="A profile of the machine on which the import runs, instead of a key.")
    role_arn: Annotated[str, StringConstraints(pattern=_ROLE_ARN)] = Field(
        "", description="Write arn:aws:iam::<account>:role/<name>."
    )
    external_id: str = Field("", description="What the role's trust policy asks for.")

    @model_validator(mode="after")
    def _one_shape(self) -> Self:
        if bool(self.access_key_id) != bool(self.secret_access_key.get_secret_value()):
            raise ValueError("give access_key_id and secret_access_key together")
        if self.session_token.get_secret_value() and not self.access_key_id:
            raise ValueError("session_token needs access_key_id and secret_access_key")
        if self.profile and self.access_key_id:
            raise ValueError("give a profile or an access key, not both")
        if self.external_id and not self.role_arn:
            raise ValueError("external_id needs role_arn")
        return self

    def as_block(self) -> "AwsCredentials":
        """The same as prefect-aws keeps it."""
        from prefect_aws import AwsCredentials

        return AwsCredentials(
            aws_access_key_id=self.access_key_id or None,
            aws_secret_access_key=self.secret_access_key if self.access_key_id else None,
            aws_session_token=self.session_token.get_secret_value() or None,
            profile_name=self.profile or None,
            assume_role_arn=self.role_arn or None,
            assume_role_kwargs={"ExternalId": self.external_id} if self.external_id else {},
        )


def refuse_misspelt(given: object) -> None:
    """Refuse what prefect-aws would drop without a word: with an `ExternalID`, it would ask without external id.

    Args:
        given: a block, or what is to become one.

    Raises:
        ValueError: a name that the block does not have.
    """
    from prefect_aws import AwsCredentials
    from prefect_aws.assume_role_parameters import AssumeRoleParameters
    from prefect_aws.client_parameters import AwsClientParameters

    if isinstance(given, AwsCredentials):
        given = given.model_extra
    if not isinstance(given, Mapping):
        return
    _refuse_others(given, {*AwsCredentials.model_fields, "block_type_slug"}, "")
    parts = {
        "assume_role_kwargs": AssumeRoleParameters.model_fields,
        "aws_client_parameters": AwsClientParameters.model_fields,
    }
    for name, known in parts.items():
        if isinstance(given.get(name), Mapping):
            _refuse_others(given[name], known, f" in {name}")


def _refuse_others(given: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, list(known), 1)
            raise ValueError(
                f"there is no {name}{where}" + (f"; did you mean {close[0]!r}?" if close else "; remove it")
            )


def refuse_contradictions(block: "AwsCredentials") -> None:
    """Refuse a block whose parts do not go together: boto3 would sign in as somebody else.

    Raises:
        ValueError: what is wrong, and what to write instead.
    """
    role = block.assume_role_kwargs.get_params_override()
    if bool(block.aws_access_key_id) != bool(block.aws_secret_access_key):
        raise ValueError("give aws_access_key_id and aws_secret_access_key together")
    if block.aws_session_token and not block.aws_access_key_id:
        raise ValueError("aws_session_token needs aws_access_key_id and aws_secret_access_key")
    if block.profile_name and block.aws_access_key_id:
        raise ValueError("give profile_name or an access key, not both")
    if role and not block.assume_role_arn:
        raise ValueError(f"{next(iter(role))} needs assume_role_arn")
    if not re.match(_ROLE_ARN, block.assume_role_arn or ""):
        raise ValueError("assume_role_arn is written like arn:aws:iam::123456789012:role/name")
    if "SerialNumber" in role:
        raise ValueError("a role that asks for an MFA code cannot be assumed unattended")
