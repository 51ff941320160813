"""Requests whose condition does not hold: a store that carries one out ignores the condition."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ANOTHER_ETAG = f'"{"0" * 32}"'
_LOOKED = "the importer looks first, so only what a stranger puts there in that very moment could be overwritten"


@dataclass(frozen=True, slots=True)
class Trial:
    """One kind of condition that the importer uses.

    Attributes:
        condition: which, and of what request.
        request: one that must be refused with 412.
        otherwise: what protects where the store ignores the condition.
    """

    condition: str
    request: Callable[[], object]
    otherwise: str


def copy_probe(client: "S3Client", probe: dict[str, Any], copy: dict[str, Any], **more: Any) -> None:  # noqa: ANN401
    """Copy the probe as the importer copies; `more` are conditions and encryption."""
    client.copy_object(
        **copy, CopySource={"Bucket": probe["Bucket"], "Key": probe["Key"]}, TaggingDirective="REPLACE", **more
    )


def trials(
    client: "S3Client", probe: dict[str, Any], copy: dict[str, Any], body: bytes, encryption: dict[str, Any]
) -> tuple[Trial, ...]:
    """One for each condition.

    Args:
        client: to the bucket.
        probe: Bucket and Key of an object that is there; it stays as it is.
        copy: of its copy, which may go or be written anew where a condition is ignored.
        body: of both.
        encryption: asked for with every write.
    """

    def put() -> None:
        client.put_object(**probe, **encryption, Body=body, IfNoneMatch="*")

    def copy_anew() -> None:
        copy_probe(client, probe, copy, **encryption, IfNoneMatch="*")

    def copy_another() -> None:
        copy_probe(client, probe, copy, **encryption, CopySourceIfMatch=_ANOTHER_ETAG)

    def get() -> None:
        client.get_object(**probe, IfMatch=_ANOTHER_ETAG)["Body"].close()

    def delete() -> None:
        client.delete_object(**copy, IfMatch=_ANOTHER_ETAG)

    return (
        Trial("If-None-Match of a put", put, _LOOKED),
        Trial("If-None-Match of a copy", copy_anew, _LOOKED),
        Trial(
            "If-Match of a copy's source",
            copy_another,
            "nothing protects: a file that is replaced while it is imported is archived as the newer one; never "
            "replace a file whose _SUCCESS is there",
        ),
        Trial("If-Match of a get", get, "the importer compares the ETag of what it gets, which protects as well"),
        Trial(
            "If-Match of a delete",
            delete,
            "the importer looks before it deletes, so only what is replaced in that very moment could go with it",
        ),
    )
