"""What is installed is explained, and the image installs what is tested, as nobody in particular."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_dependency_is_explained_and_nothing_else():
    rows = re.findall(r"^\| ([a-z0-9, -]+) \|", (ROOT / "docs" / "dependencies.md").read_text(), re.MULTILINE)
    explained = {name for row in rows[1:] for name in row.split(", ")}
    needed = {re.split(r"[<>=\[]", line)[0] for line in PROJECT["project"]["dependencies"]}
    assert explained == needed


def instructions():
    text = (ROOT / "deployments" / "Dockerfile").read_text()
    lines = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    return [tuple(line.split(None, 1)) for line in lines if line]


def test_the_image_runs_as_nobody_and_holds_no_secret():
    final = instructions()[[word for word, _ in instructions()].index("FROM", 1) :]
    assert ("USER", "65532:65532") in final
    assert [rest for word, rest in final if word == "COPY"] == ["--from=build /opt/px-import /opt/px-import"]
    text = " ".join(rest for _, rest in instructions())
    assert not re.search(r"secret|password|token|api_key", text, re.IGNORECASE)


def test_the_image_is_built_from_what_it_needs(tmp_path):
    """The build stage's copies are enough for the package, and the ignore file lets each of them through."""
    copied = [rest.split()[:-1] for word, rest in instructions() if word == "COPY" and "--from" not in rest]
    names = [name for names in copied for name in names]
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(names) == let_through
    assert set(PROJECT["tool"]["setuptools"]["packages"]) - {"deployments.chaos"} <= let_through
    for name in names:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        "out",
        ".",
    ]
    made = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    [wheel] = (tmp_path / "out").iterdir()
    assert wheel.name.startswith("px_import-")
