"""The files that GitHub, Zenodo and pre-commit read are valid and agree with the package."""

import re
import tomllib

import pytest
import yaml

import openalign
from tests.docs.blocks import ROOT

YAML = [*ROOT.glob(".github/**/*.yml"), ROOT / ".pre-commit-config.yaml"]


@pytest.mark.parametrize("path", YAML, ids=lambda path: path.name)
def test_a_yaml_file_can_be_read(path):
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


def test_the_citation_has_what_the_format_requires_and_the_version_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["version"] == openalign.__version__
    assert all({"name"} <= author.keys() or {"family-names"} <= author.keys() for author in citation["authors"])
    for reference in citation["references"]:
        assert {"type", "title", "authors"} <= reference.keys()


def test_the_changelog_begins_with_the_version_of_the_package():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[([^\]]+)\]", text, re.MULTILINE)[0] == openalign.__version__


def test_the_workflow_of_tests_runs_the_same_script_as_anyone():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8"))
    assert any(".ci/run" in step.get("run", "") for step in workflow["jobs"]["tests"]["steps"])
    assert (ROOT / ".ci" / "run").exists()


def test_what_publishes_the_site_waits_for_the_tests():
    found = 0
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
        for job in jobs.values():
            if any("gh-deploy" in step.get("run", "") for step in job["steps"]):
                found += 1
                assert job["needs"] == "tests" and "refs/heads/main" in job["if"]
    assert found == 1


def test_the_hooks_of_a_commit_run_the_tools_of_make_lint():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    lint = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nlint:")[2].partition("\n\n")[0]
    made = re.findall(r"\$\(BIN\)/(.+)", lint)
    assert [hook["entry"].removeprefix(".venv/bin/") for hook in hooks] == [
        command.removesuffix(" .").removesuffix(" --check") for command in made
    ]


def test_the_metadata_lead_to_the_repository_and_the_documentation():
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    site = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    assert urls["Documentation"] == site["site_url"]
    assert urls["Repository"] == site["repo_url"]
    assert urls["Changelog"].endswith("/CHANGELOG.md")
