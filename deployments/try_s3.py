"""`px-import s3`: an S3 server on this machine for as long as one wants to try things out."""

import signal
import sys
from types import FrameType

from deployments.local_s3 import LocalS3
from schemas.errors import PermanentError, SettingsError


def serve(bucket: str) -> int:
    """Start the server with an empty bucket, tell a shell how to reach it, and wait to be stopped.

    Standard output gets `export` lines and nothing else, so that it can be kept in a file for other shells. Keys and
    port are new each time; what was put there goes with the server.

    Returns:
        0 it was stopped by Ctrl-C or SIGTERM.

    Raises:
        PermanentError: it is not installed or does not start.
        SettingsError: there can be no bucket of this name.
    """
    for told in (signal.SIGINT, signal.SIGTERM):
        signal.signal(told, _stop)
    try:
        with LocalS3() as server:
            _make(server, bucket)
            for name, value in _variables(server).items():
                print(f"export {name}={value}")
            sys.stdout.flush()
            print(f"The bucket {bucket} is there until you press Ctrl-C.", file=sys.stderr)
            while True:
                signal.pause()
    except KeyboardInterrupt:
        return 0
    except RuntimeError as exc:
        raise PermanentError(str(exc)) from None


def _make(server: LocalS3, bucket: str) -> None:
    from botocore.exceptions import ClientError, ParamValidationError

    try:
        server.create_bucket(bucket)
    except (ClientError, ParamValidationError):
        raise SettingsError("BUCKET", "give a name of 3 to 63 small letters, digits and dashes") from None


def _variables(server: LocalS3) -> dict[str, str]:
    """What every AWS program reads."""
    return {
        "AWS_ENDPOINT_URL": server.endpoint_url,
        "AWS_ACCESS_KEY_ID": server.access_key_id,
        "AWS_SECRET_ACCESS_KEY": server.secret_access_key,
        "AWS_DEFAULT_REGION": server.region,
    }


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
