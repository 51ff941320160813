"""Several workers at one feed."""

import pytest

from deployments.chaos.importer import Importer, Surroundings
from deployments.chaos.promises import broken_in_the_end
from deployments.chaos.scenarios import THREE, USERS
from deployments.chaos.stage import stage


@pytest.mark.rule("R2")
@pytest.mark.parametrize("number", [2, 4])
@pytest.mark.parametrize("ground", ["sqlite_ground", "postgres_ground"])
def test_of_several_workers_one_imports_and_none_does_harm(request, tmp_path, ground, number):
    ground = request.getfixturevalue(ground)
    with ground.client() as client, stage(ground, "workers", tmp_path, client) as made:
        made.deliver(USERS, THREE.pending[USERS])
        workers = [Importer(made.plain_settings([USERS]), Surroundings(made.temporary)) for _ in range(number)]
        for worker in workers:
            worker.begin()
        ended = []
        for worker in workers:
            with worker:
                ended += worker.wait()
        assert not [each for each in ended if each.crash]
        states = [each.state for each in ended]
        assert states.count("Rejected") == 1
        assert set(states) <= {"Rejected", "Skipped", "NothingToDo"}
        status = made.archive(USERS)[0]["status.txt"]
        assert broken_in_the_end(made, THREE, THREE.peaceful(), [status]) == []
