"""The three documents that AWS wants for one feed: what the role may do, who may be it, and the bucket's own word.

They grant what the importer calls for and no more (rule R4), narrowed to the feed's folder.
An external id is no secret to AWS: it stands in the trust relationship in clear, and nowhere else.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from schemas.drop_zone import DropZone

Document = dict[str, Any]

#: Stands where the settings do not say who assumes the role.
TRUSTED = "arn:aws:iam::ACCOUNT:user/IMPORTER"
ROLE = "arn:aws:iam::ACCOUNT:role/ROLE"


@dataclass(frozen=True, slots=True)
class Access:
    """What the documents are made of.

    Attributes:
        zone: bucket and folder of the feed.
        role_arn: the role; `ROLE` where the settings name none.
        trusted: who may assume it.
        external_id: that it must be assumed with; empty for none.
        kms_key_id: key that writes are encrypted with; empty for none.
        region: of the bucket, for a key that is given by its id alone.
        feed: its name, after which Terraform's resources are called; empty for none.
    """

    zone: DropZone
    role_arn: str = ROLE
    trusted: str = TRUSTED
    external_id: str = ""
    kms_key_id: str = ""
    region: str = ""
    feed: str = ""

    @property
    def resource_name(self) -> str:
        """What Terraform calls the resources, with the feed's name in snake case."""
        return re.sub(r"[^A-Za-z0-9_]", "_", f"px_import_{self.feed}" if self.feed else "px_import")

    @property
    def _partition(self) -> str:
        """`aws`, or `aws-cn` and the like, as the role's ARN says."""
        return self.role_arn.split(":")[1]

    @property
    def _bucket(self) -> str:
        return f"arn:{self._partition}:s3:::{self.zone.bucket}"

    @property
    def _objects(self) -> list[str]:
        prefixes = (self.zone.current_prefix, self.zone.processed_prefix)
        return [f"{self._bucket}/{_literal(prefix)}*" for prefix in prefixes]

    def role_policy(self) -> Document:
        """What the role may do; the same for a user with keys."""
        statements = self._on_the_folder("")
        if self.kms_key_id:
            statements.append(
                {
                    "Sid": "Encryption",
                    "Effect": "Allow",
                    "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
                    **self._kms_key(),
                }
            )
        return _document(statements)

    def trust_policy(self) -> Document:
        """Who may assume the role."""
        statement: Document = {"Effect": "Allow", "Principal": {"AWS": self.trusted}, "Action": "sts:AssumeRole"}
        if self.external_id:
            statement["Condition"] = {"StringEquals": {"sts:ExternalId": self.external_id}}
        return _document([statement])

    def bucket_policy(self) -> Document:
        """What the bucket grants the role; needed where it lies in another account than the role."""
        return _document(self._on_the_folder(self.role_arn))

    def _on_the_folder(self, principal: str) -> list[Document]:
        who = {"Principal": {"AWS": principal}} if principal else {}
        prefixes = [_literal(self.zone.current_prefix), _literal(self.zone.processed_prefix)]
        listed = [f"{prefix}*" for prefix in prefixes]
        return [
            {
                "Sid": "ListFeed",
                "Effect": "Allow",
                **who,
                "Action": "s3:ListBucket",
                "Resource": self._bucket,
                "Condition": {"StringLike": {"s3:prefix": listed}},
            },
            # The right to list also makes S3 say 404 of what is not there: it takes the key of a HEAD for the prefix.
            {
                "Sid": "TransferFeed",
                "Effect": "Allow",
                **who,
                "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                "Resource": self._objects,
            },
        ]

    def _kms_key(self) -> Document:
        key = self.kms_key_id
        if key.startswith("arn:") and ":alias/" not in key:
            return {"Resource": key}
        account = self.role_arn.split(":")[4]
        place = f"arn:{self._partition}:kms:{self.region or '*'}:{account}:key"
        if "alias/" in key:  # a policy names keys; an alias is a condition
            alias = key[key.index("alias/") :]
            return {"Resource": f"{place}/*", "Condition": {"StringEquals": {"kms:RequestAlias": alias}}}
        return {"Resource": f"{place}/{key}"}


def _document(statements: list[Document]) -> Document:
    return {"Version": "2012-10-17", "Statement": statements}


def _literal(text: str) -> str:
    """A key's text where a policy would read a pattern: `*`, `?` and `$` stand for themselves."""
    return re.sub(r"[*?$]", lambda match: f"${{{match[0]}}}", text)


def terraform(access: Access) -> str:
    """The same as HCL: a role with its policy, and the bucket's policy."""
    path, _, name = access.role_arn.partition(":role/")[2].rpartition("/")
    resource = access.resource_name
    return "\n".join(
        [
            f'resource "aws_iam_role" "{resource}" {{',
            f"  name               = {_hcl(name)}",
            *([f"  path               = {_hcl(f'/{path}/')}"] if path else []),
            f"  assume_role_policy = {_encoded(access.trust_policy())}",
            "}",
            "",
            f'resource "aws_iam_role_policy" "{resource}" {{',
            '  name   = "px-import"',
            f"  role   = aws_iam_role.{resource}.id",
            f"  policy = {_encoded(access.role_policy())}",
            "}",
            "",
            "# One bucket has one policy: merge these statements into it where there is one.",
            f'resource "aws_s3_bucket_policy" "{resource}" {{',
            f"  bucket = {_hcl(access.zone.bucket)}",
            f"  policy = {_encoded(access.bucket_policy())}",
            "}",
            "",
        ]
    )


def _encoded(document: Document) -> str:
    body = json.dumps(document, indent=2, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
    indented = "\n".join(f"  {line}" if number else line for number, line in enumerate(body.splitlines()))
    return f"jsonencode({indented})"


def _hcl(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
