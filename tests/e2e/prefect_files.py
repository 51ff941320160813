"""prefect.yaml and its variants, and what the work pools that they name take.

The templates of the Docker and the Kubernetes pool were printed by prefect-docker 0.7.4 and prefect-kubernetes 0.8.0
(`prefect work-pool get-default-base-job-template --type docker`); the packages themselves are not needed here.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from prefect.workers.process import ProcessWorker
from prefect_aws.workers import ECSWorker

from tests.e2e.processes import ROOT

TEMPLATES = Path(__file__).parent / "job_templates"


@dataclass(frozen=True)
class PrefectFile:
    """One file for `prefect deploy --prefect-file`, and the type of work pool that it is for."""

    path: Path
    pool_type: str

    @property
    def content(self) -> dict[str, Any]:
        return yaml.safe_load(self.path.read_text(encoding="utf-8"))

    @property
    def template(self) -> dict[str, Any]:
        """Base job template of a new pool of that type."""
        match self.pool_type:
            case "process":
                return ProcessWorker.get_default_base_job_template()
            case "ecs":
                return ECSWorker.get_default_base_job_template()
            case name:
                return json.loads((TEMPLATES / f"{name}.json").read_text(encoding="utf-8"))


DEFAULT = PrefectFile(ROOT / "prefect.yaml", "process")
VARIANTS = [
    PrefectFile(path, path.stem.removeprefix("prefect-"))
    for path in sorted((ROOT / "deployments").glob("prefect-*.yaml"))
]
EVERY = [*VARIANTS, DEFAULT]
