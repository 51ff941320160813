import pytest
from pydantic import SecretStr

from blocks.feed_settings import SettingsFile
from deployments.chaos.stage import Ground


@pytest.fixture
def sqlite_ground(local_s3, bucket):
    settings = SettingsFile(
        feed="users", entity="user", bucket=bucket, region="us-east-1", endpoint_url=local_s3.endpoint_url,
        authorization={
            "access_key_id": local_s3.access_key_id, "secret_access_key": local_s3.secret_access_key,
        },
        store="sqlite:////of/no/account.db", destination={"product": "AP-XXXXXXXXXX"},
    )  # fmt: skip
    return Ground(settings)


@pytest.fixture
def postgres_ground(sqlite_ground, local_postgres):
    return Ground(sqlite_ground.settings.model_copy(update={"store": SecretStr(local_postgres.url)}))
