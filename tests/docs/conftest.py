"""Shared: a copy of what the documents name, as the working directory."""

import shutil

import pytest

from tests.docs.workspace import make_workspace


@pytest.fixture(scope="session")
def workspace(tmp_path_factory, road):
    return make_workspace(tmp_path_factory.mktemp("documents") / "workspace", road)


@pytest.fixture
def here(workspace, tmp_path, monkeypatch):
    """A copy of the workspace as the working directory, without the hub."""
    folder = tmp_path / "here"
    shutil.copytree(workspace, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return folder
