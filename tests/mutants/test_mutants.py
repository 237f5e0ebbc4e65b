"""The suite notices mistakes: each mutant, a copy of the project with one line changed, fails the test that it names.

`make test` tries a few of them by a seed that it prints, `make soak` all. A mutant that survives is a missing test.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.mutants import events, functions, storage, windows
from tests.mutants.copies import Mutant, changed, copied, mutated, tried

MUTANTS = [*windows.MUTANTS, *events.MUTANTS, *functions.MUTANTS, *storage.MUTANTS]
SEED = int(os.environ.get("SLUICE_TEST_SEED", random.SystemRandom().randrange(2**32)))
SOME = 6
FAILED = 1
"""What pytest says when tests ran and some did not pass; anything else means that they did not run."""


def killed(folder: Path, mutant: Mutant) -> None:
    found = tried(changed(folder, mutant), [mutant.killer])
    assert found.returncode == FAILED, f"{mutant} survives {mutant.killer}:\n{found.stdout}{found.stderr}"
    assert f"FAILED tests/{mutant.killer}" in found.stdout


@pytest.mark.unit
@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_what_a_mutant_changes_is_there_once(mutant: Mutant) -> None:
    compile(mutated(mutant), mutant.module, "exec")


@pytest.mark.unit
@pytest.mark.parametrize(("old", "times"), [("far = nears[r] - windows[w]", 2), ("not there", 0)])
def test_a_mutant_whose_text_is_not_there_once_fails_by_its_name(old: str, times: int) -> None:
    mutant = Mutant("the far edge is closed", "engine/ranges", old, "", "golden/test_rules.py")
    with pytest.raises(
        AssertionError, match=rf"^the far edge is closed: '.*' occurs {times} times in engine/ranges\.py"
    ):
        mutated(mutant)


@pytest.mark.unit
def test_a_mutant_has_a_name_of_its_own_and_changes_something() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) > 100
    assert [mutant for mutant in MUTANTS if mutant.old == mutant.new] == []


@pytest.mark.integration
def test_some_mutants_are_killed_and_an_unchanged_copy_is_not(tmp_path: Path) -> None:
    print(f"SLUICE_TEST_SEED={SEED}")  # noqa: T201 shown when the test fails, to run it again
    chosen = random.Random(SEED).sample(MUTANTS, SOME)
    control = tried(copied(tmp_path / "control"), [mutant.killer for mutant in chosen])
    assert control.returncode == 0, control.stdout + control.stderr
    for number, mutant in enumerate(chosen):
        killed(tmp_path / str(number), mutant)


@pytest.mark.soak
def test_an_unchanged_copy_passes_everything_that_kills_and_has_the_frozen_bits_without_the_compiler(
    tmp_path: Path,
) -> None:
    control = tried(copied(tmp_path), ["golden/test_frozen.py", *(mutant.killer for mutant in MUTANTS)])
    assert control.returncode == 0, control.stdout + control.stderr


@pytest.mark.soak
@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_mutant_is_killed(mutant: Mutant, tmp_path: Path) -> None:
    killed(tmp_path, mutant)


@pytest.mark.soak
def test_a_mistake_in_one_module_is_in_machine_code_that_another_one_had_made_before(tmp_path: Path) -> None:
    mutant = next(one for one in MUTANTS if one.name == "the request is not included")
    copy = copied(tmp_path)
    before = tried(copy, [mutant.killer], compiled=True)
    assert before.returncode == 0, before.stdout + before.stderr
    assert list((copy / "sluice" / "engine" / "__pycache__").glob("evaluate.*.nbc"))
    (copy / "sluice" / f"{mutant.module}.py").write_text(mutated(mutant))
    assert tried(copy, [mutant.killer], compiled=True).returncode == FAILED
