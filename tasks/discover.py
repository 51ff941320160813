"""Verbs: see what waits under `current/`."""

from blocks.connections import Connections
from schemas.drop_zone import Folder, Survey, survey
from tasks.verb import verb


@verb("discover")
def discover(feed: Connections) -> Survey:
    """List `current/` once and group it by folder (rules D1 to D5).

    Raises:
        DropZoneBusy, AccessRefused, NotThere: the bucket cannot be listed.
    """
    zone = feed.settings.zone
    return survey(zone, feed.drop_zone.list(zone.current_prefix))


@verb("look again", "dt={folder.day}")
def look_again(feed: Connections, folder: Folder) -> Folder | None:
    """A folder as it is now, None where it is not ready any more: others were imported since it was listed (rule D6).

    Raises:
        DropZoneBusy, AccessRefused, NotThere: the bucket cannot be listed.
    """
    return next(iter(survey(feed.settings.zone, feed.drop_zone.list(folder.prefix)).ready), None)
