from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from feature_repo.fraud import pipeline
from feature_repo.handbook import pipeline as handbook
from serve.promotions import PROMOTIONS
from sluice.lake.tables import Lake
from sluice.monitor.audit import AUDITS
from sluice.monitor.report.figures import figures
from sluice.monitor.report.page import page, write_page
from sluice.monitor.report.sections.section import Run
from tests.sluice.monitor.report.lakes import END, LIVE, move

pytestmark = pytest.mark.integration

SECTIONS = [
    "events",
    "gates",
    "freshness",
    "scores",
    "drift",
    "quality",
    "decisions",
    "serving",
    "audit",
    "models",
    "repairs",
    "steps",
]
VOID = {"meta", "br", "hr", "img", "input", "link"}


class Tree(HTMLParser):
    """What a browser would see: elements with their attributes, text, and whether all are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]


@pytest.fixture(scope="module")
def shown(told: Run) -> str:
    return page(told.lake, told.pipeline, told.figures)


@pytest.fixture(scope="module")
def tree(shown: str) -> Tree:
    return Tree(shown)


def empty(lake: Lake, **changes: Any) -> Tree:
    found = figures(lake, pipeline, broker_ends={}, models=[], steps=[], at=END)
    return Tree(page(lake, pipeline, {**found, **changes}))


def test_every_section_is_there_in_order_and_can_be_reached(tree: Tree) -> None:
    assert [attributes["id"] for attributes in tree.all("section")] == SECTIONS
    assert [attributes["href"] for attributes in tree.all("a")] == [f"#{name}" for name in SECTIONS]
    assert tree.open == []


def test_the_page_needs_no_network_and_runs_no_program(shown: str, tree: Tree) -> None:
    assert not {"script", "link", "img", "iframe", "object", "base"} & {tag for tag, _ in tree.elements}
    assert set(re.findall(r"https?://[^\"'<\s)]+", shown)) <= {"http://www.w3.org/1999/xlink"}
    assert "@import" not in shown
    assert set(re.findall(r"url\(([^)]*)\)", shown)) <= {f"#{name}" for name in ids(tree)}


def ids(tree: Tree) -> list[str]:
    return [str(attributes["id"]) for _, attributes in tree.elements if "id" in attributes]


def test_no_two_elements_share_an_id_and_every_reference_has_one(tree: Tree) -> None:
    named = ids(tree)
    assert len(named) == len(set(named))
    referred = {str(attributes.get("xlink:href")) for attributes in tree.all("use")}
    assert {name.removeprefix("#") for name in referred} <= set(named)


def test_the_first_line_is_the_outcome(tree: Tree) -> None:
    assert tree.all("h1") == [{"class": "sound"}]
    assert "141 of 141 events are accounted for, 1,000 of 1,000 requests were answered" in tree.text
    assert "transactions: 135 produced = 135 accounted for" in tree.text


def test_views_that_events_came_too_late_for_are_named(told: Run) -> None:
    event = {**told.figures["events"][0], "expired_by_view": {"customer_spend": 1_200, "terminal_risk": 0}}
    shown = page(told.lake, told.pipeline, {**told.figures, "events": [event]})
    assert "Too late for a view, and in none of its values: customer_spend 1,200." in shown
    assert "Too late for a view" not in page(told.lake, told.pipeline, told.figures)


def test_every_plot_says_in_words_what_it_shows(tree: Tree) -> None:
    plots = tree.all("svg")
    assert len(plots) == 6
    assert all(attributes["role"] == "img" for attributes in plots)
    for words in (
        "Histogram of 400 events: half within",
        "pos: 1,829 scores, median",
        "online: 6 alarms from 2026-06-10 on, in customer_spend__mean_amount_7d, moment__amount, score.",
        "Average precision over days. pos: measured",
        "online: champions v1, then v2; rolled back v3; 12 decisions, 1 of them not to hold.",
        "Histogram of 1,000 requests: half within",
    ):
        assert words in tree.text


def test_plots_take_their_colours_from_the_page(shown: str) -> None:
    drawn = "".join(re.findall(r"<svg.*?</svg>", shown, flags=re.DOTALL))
    assert re.findall(r"#[0-9a-f]{6}", drawn) == []
    assert set(re.findall(r"var\((--[a-z0-9-]+)\)", drawn)) <= set(re.findall(r"(--[a-z0-9-]+):", shown))
    assert "prefers-color-scheme: dark" in shown


def test_values_of_events_are_never_markup(shown: str) -> None:
    assert "<b>kiosk</b>" not in shown
    assert "&lt;b&gt;kiosk&lt;/b&gt;" in shown


def test_a_stopped_batch_is_told_with_its_repair_or_as_held(tree: Tree) -> None:
    assert "2 batches stopped at the gates; 1 became history after a repair, 1 held. 4 rows refused" in tree.text
    assert "Repaired at 2026-05-21 02:00: amount is read from total." in tree.text
    assert "Held: none of its rows is history." in tree.text


def test_refused_input_is_told_apart_from_failures(tree: Tree) -> None:
    assert "0 of 1,000 requests failed" in tree.text
    assert "1 request with input that breaks a rule got a 422" in tree.text


def test_what_audited_vectors_did_not_know_is_told_by_cause_and_by_feature(shown: str, tree: Tree) -> None:
    assert "686 of 3,000 vectors would be different with all that is known by now." in tree.text
    bar = next(attributes for attributes in tree.all("div") if attributes.get("class") == "shares")
    assert bar["aria-label"] == "Vectors by what they lacked: 2,314 nothing, 206 pending, 386 lateness, 94 several"
    body = shown[shown.index('class="shares"') : shown.index('id="models"')]
    rows = [re.sub(r"<[^>]*>", "|", row) for row in re.findall(r"<tr>.*?</tr>", body)]
    cells = [[cell for cell in row.split("|") if cell] for row in rows]
    assert cells[2][2:] == ["206", "6.9 %", "300", "12 %", "12 %", "12 %"]
    assert cells[3][2:] == ["386", "13 %", "1,273", "12 %", "55 %", "60 %"]
    assert cells[4][2:] == ["0", "0 %", "60", "11 %", "11 %", "11 %"]
    assert cells[7] == ["customer_spend__count_7d", "lateness", "429", "1", "1", "1", "12 %"]
    assert cells[8] == ["customer_spend__since_last", "lateness", "429", *["\u2013"] * 4]


def test_models_say_what_became_of_them(shown: str) -> None:
    body = shown[shown.index('id="models"') : shown.index('id="repairs"')]
    rows = [re.sub(r"<[^>]*>", " ", row).split() for row in re.findall(r"<tr>.*?</tr>", body)]
    assert [(row[0], row[1], " ".join(row[6:])) for row in rows[1:4]] == [
        ("pos", "v1", "champion"),
        ("online", "v1", "replaced"),
        ("online", "v2", "champion"),
    ]
    assert (rows[4][1], " ".join(rows[4][6:])) == ("v3", "rolled back")


def test_repairs_say_which_models_had_learned_from_what_moved(tree: Tree) -> None:
    assert (
        "Late, corrected and restated events changed 42 vectors of days before; 1 model had learned from some of them."
        in tree.text
    )
    assert "customer_spend__count_1d (9, by up to 2)" in tree.text


def test_a_run_that_did_nothing_gives_sentences(lake: Lake) -> None:
    found = empty(lake)
    assert [attributes["id"] for attributes in found.all("section")] == SECTIONS
    assert found.all("svg") == []
    for sentence in (
        "No batch was stopped and no row was refused.",
        "Nothing was streamed, so no freshness was measured.",
        "Nothing was scored.",
        "No drift was looked for.",
        "No label was mature, so no quality was measured.",
        "Nothing was decided and no model was put in place.",
        "No request was made.",
        "No served vector was audited.",
        "No model was registered.",
        "No day was computed again.",
        "No step was timed.",
    ):
        assert sentence in found.text


def test_a_sum_that_does_not_close_is_the_first_thing_one_reads(lake: Lake) -> None:
    found = figures(lake, pipeline, broker_ends={"fraud.transactions": 2}, models=[], steps=[], at=END)
    shown = Tree(page(lake, pipeline, found))
    assert shown.all("h1") == [{"class": "broken"}]
    assert "Something is wrong: 2 events of transactions produced and not accounted for." in shown.text
    assert "+2 ✗" in shown.text


def test_vectors_that_differ_are_named_with_both_values(lake: Lake) -> None:
    row = {
        "request_id": "r1",
        "event_id": "77",
        "event_time": LIVE,
        "definition": "d",
        "equal": False,
        "features": '{"customer_spend__count_7d": ["3", "4"]}',
        "at": END,
    }
    lake.append_rows("audits", [row], AUDITS)
    shown = empty(lake)
    assert (
        "1 served vector computed again from raw events, as of what each could know; 1 of them differed" in shown.text
    )
    assert "772026-05-21 00:00customer_spend__count_7d34" in shown.text
    # its row is from before staleness was measured
    assert "What they did not know" not in shown.text


def test_a_champion_alone_makes_a_time_line(lake: Lake) -> None:
    lake.append_rows("promotions", [move(0, "pos", "promote", None, "fraud-pos/1", END)], PROMOTIONS)
    shown = empty(lake)
    assert "pos: champions v1; nothing rolled back; 0 decisions, 0 of them not to hold." in shown.text


def test_a_pipeline_of_one_segment_has_a_page(lake: Lake, tmp_path: Path) -> None:
    lake.append_rows("promotions", [move(0, "*", "promote", None, "handbook-all/1", LIVE)], PROMOTIONS)
    found = figures(lake, handbook, broker_ends={}, models=[], steps=[], at=END)
    path = write_page(lake, handbook, found, tmp_path / "below" / "report.html")
    assert "all traffic (*): champions v1" in path.read_text()
    assert [each.name for each in path.parent.iterdir()] == ["report.html"]
