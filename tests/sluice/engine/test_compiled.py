"""Machine code is taken from the cache only where nothing that it was made from has changed."""

from __future__ import annotations

import ast
from pathlib import Path

import numba
import pytest

from sluice.engine import compiled, loops

pytestmark = pytest.mark.unit

MODULES = {path.stem: ast.parse(path.read_text()) for path in Path(compiled.__file__).parent.glob("*.py")}
LOOPS = {name for name, tree in MODULES.items() if "@compiled" in ast.unparse(tree)}


def borrowed(tree: ast.Module) -> set[str]:
    """The modules of the kernel that a module takes constants or other loops from; types end with the compiler."""
    taken = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    names = [(node.module, alias.name) for node in taken for alias in node.names]
    whole = {name for module, name in names if module == "sluice.engine"}
    return whole | {module.split(".")[-1] for module, name in names if "sluice" in module and name.isupper()}


def test_the_stamp_is_of_every_module_that_has_loops_or_lends_them_something() -> None:
    lent = {name for module in LOOPS for name in borrowed(MODULES[module])}
    assert LOOPS | lent == set(compiled.SOURCES)


def test_every_loop_has_the_stamp_of_all_and_numbas_own_setting_is_as_it_was() -> None:
    assert loops.sums._cache._impl.locator.get_source_stamp() == compiled._stamp()
    assert type(loops.sums._cache._impl.locator) in {compiled.Beside, compiled.Elsewhere}
    assert numba.config.CACHE_LOCATOR_CLASSES == ""
