import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.reporting.examples import HOSTILE
from vecmig.reporting.escape import cell, code, json_visible, markdown, visible, visible_lines

RENDER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.text(
    "`|*_[]()<>&!#-+=:.~\\ 1@a\n", max_size=30
)


@given(st.text())
def test_nothing_that_moves_the_cursor_or_turns_the_text_is_left(text: str) -> None:
    assert visible(text).isprintable()


def test_what_prints_stays_as_it_is() -> None:
    for text in ("plain", "Größe · 日本語 · café", "a\\nb"):
        assert visible(text) == text
    assert visible("a\x1b[31mb\n\u202ec\x9b") == r"a\x1b[31mb\n\u202ec\x9b"
    assert visible_lines("a\n  b\x1b") == "a\n  b\\x1b"


@given(TEXTS)
def test_any_text_in_a_cell_of_markdown_is_text_only(text: str) -> None:
    plain = RENDER.render(f"| a | b |\n|---|---|\n| x {cell(markdown(text))} | y |\n").replace("<!-- -->", "")
    tags = plain.count("<") - plain.count("<code>") * 2
    assert tags == RENDER.render("| a | b |\n|---|---|\n| x | y |\n").count("<")


@given(TEXTS)
def test_a_text_that_begins_an_item_of_a_list_makes_no_heading_nor_list(text: str) -> None:
    rendered = RENDER.render(f"- {markdown(text)}\n").replace("<!-- -->", "")
    for tag in ("<h", "<ol", "<blockquote", "<a", "<img", "<strong", "<em", "<s", "<table", "<script"):
        assert tag not in rendered.replace("<strong></strong>", "")
    assert rendered.count("<ul>") == 1


@given(TEXTS)
def test_code_of_markdown_is_one_span_that_nothing_in_it_ends(text: str) -> None:
    rendered = RENDER.render(f"| a | b |\n|---|---|\n| {cell(code(text))} | y |\n")
    assert rendered.count("<code>") == rendered.count("</code>") == 1
    assert rendered.count("<td>") == 2


def test_no_one_is_mentioned_and_no_address_becomes_a_link() -> None:
    shown = markdown("@octo see #12, https://evil.example or www.evil.example")
    for active in ("@octo", "#12", "https://", "www."):
        assert active not in shown


def test_code_that_vecmig_wrote_in_backticks_stays_code_but_for_odd_ones() -> None:
    assert markdown("say `prune: true` here") == "say `prune: true` here"
    assert markdown("an odd ` here") == "an odd \\` here"


@pytest.mark.parametrize("text", [HOSTILE, "\x7f\x9b\u2028\U000e0001\x00"])
def test_json_means_the_same_with_everything_that_does_not_print_escaped(text: str) -> None:
    shown = json_visible(json.dumps({"id": text}, ensure_ascii=False, indent=1))
    assert json.loads(shown) == {"id": text}
    assert all(line.isprintable() for line in shown.split("\n"))
