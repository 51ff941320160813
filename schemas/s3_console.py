"""Where a person looks at an object: AWS's console for AWS's own S3, else the `s3://` place."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from schemas.drop_zone import DropZone
from schemas.markdown import plain

#: Where the console of a partition is, by how its regions begin.
_CONSOLES = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com"}
_AWS = (".amazonaws.com", ".amazonaws.com.cn")


@dataclass(frozen=True, slots=True)
class ObjectLinks:
    """Markdown links to what lies in a bucket.

    Attributes:
        zone: the bucket.
        region: its region; may be empty.
        endpoint_url: empty for AWS's own.
    """

    zone: DropZone
    region: str = ""
    endpoint_url: str = ""

    def object(self, key: str, text: str) -> str:
        """A link to an object; only its text where there is no console."""
        return self._link(f"s3/object/{quote(self.zone.bucket)}", key, plain(text)) or plain(text)

    def folder(self, key: str) -> str:
        """A link to all keys below a path, named by its `s3://` place."""
        place = plain(self.zone.url(f"{key}/"))
        return self._link(f"s3/buckets/{quote(self.zone.bucket)}", f"{key}/", place) or place

    def _link(self, path: str, prefix: str, text: str) -> str:
        host = urlsplit(self.endpoint_url).hostname or ""
        if self.endpoint_url and not host.endswith(_AWS):
            return ""
        console = next(
            (at for begin, at in _CONSOLES.items() if self.region.startswith(begin)), "console.aws.amazon.com"
        )
        asked = {"region": self.region} if self.region else {}
        return f"[{text}](https://{console}/{path}?{urlencode({**asked, 'prefix': prefix}, safe='/=')})"
