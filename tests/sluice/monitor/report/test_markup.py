from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.monitor.report.markup import Markup, escaped, folded, joined, table, tag

pytestmark = pytest.mark.unit


def test_text_is_escaped_once_and_markup_never() -> None:
    assert tag("p", "a < b & c", tag("b", '"')) == "<p>a &lt; b &amp; c<b>&quot;</b></p>"
    assert joined([Markup("<i></i>"), "<i>", 7]) == "<i></i>&lt;i&gt;7"


def test_attributes_are_written_as_html_names_them() -> None:
    shown = tag("a", href="#x", class_="quiet", aria_label='say "x"', title=None)
    assert shown == '<a href="#x" class="quiet" aria-label="say &quot;x&quot;"></a>'


def test_the_first_cell_of_a_row_heads_it_and_columns_of_words_are_set_left() -> None:
    shown = table(["name", "rows"], [["a", 1]], caption="Rows")
    assert '<caption>Rows</caption><thead><tr><th scope="col" class="words">name</th><th scope="col">rows</th>' in shown
    assert '<tbody><tr><th scope="row" class="words">a</th><td>1</td></tr></tbody>' in shown


def test_what_is_folded_has_a_line_to_click() -> None:
    assert folded("More", tag("p", "x")) == "<details><summary>More</summary><p>x</p></details>"


@given(st.text())
def test_no_text_becomes_an_element(text: str) -> None:
    shown = escaped(text)
    assert "<" not in shown
    assert '"' not in shown
