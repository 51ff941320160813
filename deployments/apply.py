"""`px-import apply`: settings files become Prefect block documents."""

from pathlib import Path

from prefect_aws import AwsCredentials

from blocks.import_settings import AttributeCatalogue, ImportSettings


def apply(files: list[Path]) -> int:
    """Register the block types and save each file as a document named after its feed; safe to repeat.

    Raises:
        SettingsError: a file is wrong; no document was saved.
    """
    every = [ImportSettings.from_file(path) for path in files]
    for kind in (AwsCredentials, AttributeCatalogue, ImportSettings):
        kind.register_type_and_schema()
    for settings in every:
        credentials = f"px-{settings.feed}"
        settings.authorization.save(credentials, overwrite=True)
        settings.save(settings.feed, overwrite=True)
        print(f"saved {ImportSettings.get_block_type_slug()}/{settings.feed} with aws-credentials/{credentials}")
    return 0
