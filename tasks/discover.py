"""Verb: see what waits under `current/`."""

from blocks.connections import Connections
from schemas.drop_zone import Survey, survey
from tasks.verb import verb


@verb("discover")
def discover(feed: Connections) -> Survey:
    """List `current/` once and group it by folder (rules D1 to D5).

    Raises:
        DropZoneBusy, AccessRefused, NotThere: the bucket cannot be listed.
    """
    zone = feed.settings.zone
    return survey(zone, feed.drop_zone.list(zone.current_prefix))
