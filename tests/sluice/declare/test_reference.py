from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

import sluice
from sluice import Pipeline
from sluice.declare.reference import PAGE, main, page, program

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]


def test_the_page_is_what_the_vocabulary_says() -> None:
    written = (ROOT / PAGE).read_text()
    assert written == page(sluice), "run `python -m sluice.declare.reference`"


def test_the_examples_are_one_program_that_declares_a_pipeline() -> None:
    names = {name: getattr(sluice, name) for name in sluice.__all__}
    exec(program(), names)  # noqa: S102 our own text
    declared = names["pipeline"]
    assert isinstance(declared, Pipeline)
    assert [feature.name for feature in declared.features] == [
        *(f"spend__count_{days}d" for days in (1, 7, 30)),
        "spend__sum_amount_1d",
        "spend__mean_amount_30d",
        "spend__idle",
        "spend__min_amount_30d",
        *(f"spend__max_amount_{window}" for window in ("30d", "lifetime")),
        *(f"spend__{name}" for name in ("std_amount_30d", "p95_amount_30d", "distinct_country_7d")),
        *(f"spend__{name}" for name in ("first_amount_lifetime", "last_channel", "top_country_30d")),
        *(f"spend__{name}" for name in ("top_share_country_30d", "decayed_count_1d", "decayed_sum_amount_3d")),
        *(f"spend__{name}" for name in ("decayed_mean_amount_3d", "age", "abroad")),
        "steps__count_6h",
        "risk__count_30d",
        "risk__share_fraud_30d",
        "seen__count_1h",
        "calendar__is_holiday",
        "calendar__days_to_next",
        "prices__level",
        *(f"moment__{name}" for name in ("amount", "hour", "minute", "day", "month", "season", "is_weekend")),
        *(f"moment__{name}" for name in ("is_night", "place", "per_item", "more", "unusual", "real_amount")),
    ]
    assert declared.segments == ("pos", "online", "atm")


def test_every_name_has_a_signature_a_sentence_and_an_example() -> None:
    entries = page(sluice).split("\n### ")[1:]
    assert {entry[1 : entry.index("`", 1)] for entry in entries} == set(sluice.__all__)
    for entry in entries:
        title, signature, promise, *_ = entry.split("\n\n")
        if title != "`position`":
            assert signature.startswith(f"```\n{title.strip('`')}(")
            assert promise.split("\n")[0].endswith((".", "`:", ":"))
        assert entry.count("```python\n") == 1


def test_a_name_without_example_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grown = ModuleType("sluice")
    grown.__all__ = [*sluice.__all__, "entropy"]  # type: ignore[attr-defined]
    with pytest.raises(KeyError, match="entropy"):
        page(grown)
    monkeypatch.setattr("sys.argv", ["reference", str(tmp_path / "declare.md")])
    main()
    assert (tmp_path / "declare.md").read_text() == page(sluice)
