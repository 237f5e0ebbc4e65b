"""Golden values are read from the stores of the engine's own tests."""

from tests.sluice.engine.conftest import opened

__all__ = ["opened"]
