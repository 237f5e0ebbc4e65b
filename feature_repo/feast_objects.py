"""The Feast objects of every pipeline in this folder, where `feast apply` looks for them."""

from pathlib import Path

from sluice.feast.objects import repository_objects

globals().update(repository_objects(Path(__file__).parent))
