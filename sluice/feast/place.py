"""Where the lake, the online store, the clock and the registry are, seen from a Feast repository."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from sluice.settings import Places, settings


def places_of(config: Any) -> Places:
    """The places of the settings for a Feast `RepoConfig`; see `places_beside`."""
    return places_beside(config.repo_path)


def online_uri_of(config: Any) -> str:
    """The online store's URI for a Feast `RepoConfig`: what its `online_store` names, else the settings."""
    return config.online_store.uri or replace(settings(), places=places_of(config)).online_uri


def clock_of(config: Any) -> str:
    """The event clock for a Feast `RepoConfig`: what its `online_store` names, else the settings."""
    return config.online_store.clock or places_of(config).clock


def places_beside(repository: Path | None) -> Places:
    """The places of the settings; a relative `SLUICE_HOME` lies beside the feature repository.

    `feast apply` changes into the repository before it works, and the state must not move with it.
    """
    places = settings().places
    if repository is None or places.home.is_absolute():
        return places
    return places.model_copy(update={"home": repository.resolve().parent / places.home})
