import uuid

import pytest
from pydantic import SecretStr

from blocks.feed_settings import SettingsFile
from deployments.chaos.stage import Ground


def ground(server, bucket):
    return Ground(
        SettingsFile(
            feed="users", entity="user", bucket=bucket, region=server.region, endpoint_url=server.endpoint_url,
            authorization={"access_key_id": server.access_key_id, "secret_access_key": server.secret_access_key},
            store="sqlite:////of/no/account.db", destination={"product": "AP-XXXXXXXXXX"},
        )
    )  # fmt: skip


@pytest.fixture
def sqlite_ground(local_s3, bucket):
    return ground(local_s3, bucket)


@pytest.fixture
def postgres_ground(sqlite_ground, local_postgres):
    return Ground(sqlite_ground.settings.model_copy(update={"store": SecretStr(local_postgres.url)}))


@pytest.fixture
def ministack_ground(ministack):
    name = f"chaos-{uuid.uuid4().hex[:12]}"
    ministack.create_bucket(name)
    return ground(ministack, name)
