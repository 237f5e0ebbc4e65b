"""A frozen declaration is refused when it means something else, with what changed and the next step."""

from __future__ import annotations

import json
import os
import textwrap
import zipfile
from pathlib import Path

import pytest

from sluice.declare.loading import load_pipeline, load_unlocked
from sluice.declare.lock import freeze, frozen, lock_of, thaw
from sluice.errors import DataError, DeclarationError
from tests.sluice.declare.examples import refusal
from tests.sluice.declare.test_changes import CASES, shop

pytestmark = pytest.mark.unit

OWN = """
    from sluice import Key, Label, Pipeline, Stream, Windows, count

    visits = Stream("visits", id="visit_id", time="at", columns={"patient": Key("text")})
    relapse = Label("relapse", of=visits, column="RELAPSE", known_after="30d")
    past = Windows("past", of="patient", over=visits, features=[count("90d")], delay="0s")
    pipeline = Pipeline("clinic", views=[past], label=relapse)
"""


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    """A frozen pipeline in a file of its own."""
    file = tmp_path / "clinic.py"
    file.write_text(textwrap.dedent(OWN))
    freeze(load_pipeline(str(file)), file)
    return file


def edit(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def test_a_frozen_declaration_that_means_the_same_is_loaded(clinic: Path) -> None:
    edit(clinic, 'time="at"', 'retention="900d", time="at"')
    assert load_pipeline(str(clinic)).name == "clinic"


def test_one_that_means_something_else_is_refused_with_what_changed_and_the_next_step(clinic: Path) -> None:
    edit(clinic, 'delay="0s"', 'delay="1d"')
    edit(clinic, 'count("90d")', 'count("30d", name="count_90d")')
    assert refusal(lambda: load_pipeline(str(clinic))) == (
        f"{clinic}: the declaration is frozen, and means something else now:\n"
        "    view past, delay: 0s → 1d\n"
        "    view past, feature count_90d, window: 90d → 30d\n"
        f"  next: take it back, or accept it: sluice features freeze {clinic} --again"
    )


@pytest.mark.parametrize("name", [name for name in CASES if name != "nothing"])
def test_no_kind_of_change_goes_unnoticed(tmp_path: Path, name: str) -> None:
    from sluice.declare.lock import check_frozen

    file = tmp_path / "shop.py"
    freeze(shop(), file)
    check_frozen(shop(), file)
    with pytest.raises(DeclarationError, match="is frozen"):
        check_frozen(shop(**CASES[name][0]), file)


def test_a_label_is_frozen_too(clinic: Path) -> None:
    edit(clinic, 'known_after="30d"', 'known_after="31d"')
    with pytest.raises(DeclarationError, match="label relapse, known_after: 30d → 31d"):
        load_pipeline(str(clinic))


def test_a_change_is_accepted_on_purpose_only(clinic: Path) -> None:
    edit(clinic, 'delay="0s"', 'delay="1d"')
    changed, file = load_unlocked(str(clinic))
    with pytest.raises(DeclarationError, match="is frozen"):
        freeze(changed, file)
    assert [str(change) for change in freeze(changed, file, again=True)] == ["view past, delay: 0s → 1d"]
    assert load_pipeline(str(clinic)).view("past").lag == 86_400_000_000


def test_a_thawed_declaration_may_change(clinic: Path) -> None:
    edit(clinic, 'delay="0s"', 'delay="1d"')
    assert thaw(clinic) is True
    assert thaw(clinic) is False
    assert load_pipeline(str(clinic)).name == "clinic"


def test_the_lock_is_the_description_for_a_reviewer_to_read(clinic: Path) -> None:
    lock = clinic.with_name("clinic.lock.json")
    assert lock_of(clinic) == lock
    assert json.loads(lock.read_text()) == json.loads(json.dumps(load_pipeline(str(clinic)).describe()))
    assert len(lock.read_text().splitlines()) > 40


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"events": 1}'])
def test_something_else_in_place_of_a_lock_is_named(clinic: Path, text: str) -> None:
    lock_of(clinic).write_text(text)
    with pytest.raises(DataError, match=r"clinic\.lock\.json: this is no lock"):
        load_pipeline(str(clinic))


def test_an_edit_within_the_second_that_keeps_the_size_is_seen(clinic: Path) -> None:
    before = clinic.stat()
    load_pipeline(str(clinic))
    edit(clinic, 'known_after="30d"', 'known_after="31d"')
    os.utime(clinic, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DeclarationError, match="label relapse, known_after: 30d → 31d"):
        load_pipeline(str(clinic))


def test_a_lock_holds_in_the_archive_too_in_which_code_is_sent_to_a_cluster(tmp_path: Path) -> None:
    path = tmp_path / "code.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("feature_repo/fraud.py", "")
        archive.writestr("feature_repo/fraud.lock.json", "{")
    with pytest.raises(DataError, match="this is no lock"):
        frozen(path / "feature_repo" / "fraud.py")
    assert frozen(path / "feature_repo" / "other.py") is None
