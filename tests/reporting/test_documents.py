"""JSON, Markdown and HTML."""

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import jsonschema
import msgspec
import pytest
from markdown_it import MarkdownIt
from msgspec.structs import replace

from tests.reporting.examples import (
    BETTER,
    FAILED,
    HOSTILE,
    METERED,
    MIGRATION,
    PLAN,
    RECONCILE,
    RELEVANCE,
    REPORT,
    UNCHANGED,
    UNDECIDED,
)
from vecmig.errors import PluginError
from vecmig.model.plan import Plan
from vecmig.model.record import Key
from vecmig.model.report import LabelledCheck, Report
from vecmig.model.state import State
from vecmig.reporting.html import report_html
from vecmig.reporting.json import (
    outcome_json,
    plan_json,
    report_json,
    reports_json,
    schema_json,
    schemas,
    state_json,
    states_json,
)
from vecmig.reporting.markdown import plan_markdown, report_markdown
from vecmig.reporting.outcome import outcome_of
from vecmig.storage.file import Found

STATE = State("quickstart", "default", "l").begun(PLAN, "now")
BAD_PLAN = replace(
    PLAN,
    migrations=(replace(RECONCILE, name=HOSTILE, source=HOSTILE, risks=(HOSTILE,), why=HOSTILE, changes=(HOSTILE,)),),
)
BAD_REPORT = replace(
    FAILED,
    name=HOSTILE,
    source=HOSTILE,
    records=replace(FAILED.records, missing_keys=(Key(HOSTILE, HOSTILE),)),  # type: ignore[type-var]  # not None
    search=tuple(replace(each, namespace=HOSTILE, note=HOSTILE) for each in FAILED.search),
    labelled=(LabelledCheck(HOSTILE, 2, 10, BETTER, None, HOSTILE),),
    notes=(HOSTILE,),
)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("plan", plan_json(PLAN)),
        ("plan", plan_json(replace(PLAN, migrations=(RECONCILE, UNCHANGED)))),
        ("plan", plan_json(replace(PLAN, migrations=(METERED,), max_usd=50))),
        ("report", report_json(FAILED)),
        ("reports", reports_json([REPORT, UNDECIDED])),
        ("report", report_json(RELEVANCE)),
        ("outcome", outcome_json(outcome_of(PLAN, STATE).after(REPORT))),
        ("state", state_json(STATE)),
        ("states", states_json([Found("kb", "dev", "p", STATE), Found("kb", "prod", "p", None, "damaged")])),
    ],
)
def test_every_document_has_a_format_version_and_agrees_with_its_published_schema(kind: str, text: str) -> None:
    document = json.loads(text)
    schema = schemas()[kind]
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema, jsonschema.Draft202012Validator)
    assert document["format_version"] == 1
    assert json.loads(schema_json(kind)) == schema


def test_a_schema_refuses_what_is_no_such_document() -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(report_json(REPORT)), schemas()["plan"], jsonschema.Draft202012Validator)


def test_json_reads_back_as_the_value_even_if_it_holds_what_a_terminal_would_obey() -> None:
    text = plan_json(BAD_PLAN)
    assert msgspec.json.decode(text, type=Plan) == BAD_PLAN
    assert all(line.isprintable() for line in text.split("\n"))
    assert msgspec.json.decode(report_json(BAD_REPORT), type=Report) == BAD_REPORT


def test_a_plan_in_markdown() -> None:
    assert plan_markdown(PLAN, "q.vplan") == (
        "### Plan: 1 to create, 20,000 records to load, 0 to destroy\n"
        "\n"
        "`quickstart` · `default` · `serial 14`\n"
        "\n"
        "**`+` pgvector public.words** from snapshot glove · `words`\n"
        "\n"
        "|  |  |\n"
        "|---|---|\n"
        "| records | 20,000 to load |\n"
        "| why | there is no target yet |\n"
        "| columns | id, namespace, embedding vector(50), metadata jsonb, rank bigint, initial text, created\\_at |\n"
        "| index | hnsw cosine m=16 ef\\_construction=64, after the load |\n"
        "\n"
        "<details><summary>Fidelity of 3 fields: all lossless (2,000 sampled)</summary>\n"
        "\n"
        "| field | source | target | lossless | note |\n"
        "|---|---|---|---|---|\n"
        "| `rank` | int | int | yes |  |\n"
        "| `seen` | text | datetime | yes |  |\n"
        "| `initial` | text | text | yes |  |\n"
        "\n"
        "</details>\n"
        "\n"
        "- **Estimate:** 14 MB on disk · 9.8 MB of memory for the index\n"
        "- **Estimate:** load 1.4 s, then index 3.2 s, then proof 1.4 s (measured on a similar table)\n"
        "- **Guards:** nothing destroyed\n"
        "- **Not checked:** writes to the source after this plan\n"
        "- **Apply it:** `vecmig apply q.vplan`\n"
    )


def test_a_plan_without_changes_in_markdown_is_short() -> None:
    assert plan_markdown(replace(PLAN, migrations=(UNCHANGED,))) == (
        "### No changes.\n"
        "\n"
        "`quickstart` · `default` · `serial 14`\n"
        "\n"
        "**`=` pgvector public.words** from snapshot glove · `words`\n"
        "\n"
        "No changes: source unchanged (exact) · target unchanged (exact) since the apply of 2026-11-23T10:00:00Z\n"
        "\n"
        "- **Not checked:** writes to the source after this plan\n"
    )


def test_a_report_in_markdown_says_first_what_failed() -> None:
    text = report_markdown([FAILED])
    assert text.startswith(
        "### ❌ Verification FAILED\n\n`quickstart` · `default` · `words`\n\n"
        "snapshot glove → pgvector public.words, 3 m 12 s\n\n"
        "- **missing 7, at most 0 asked**\n"
        "- **extra 1, at most 0 asked: `prune: true` removes them**\n"
    )
    assert "| records | 20,001 compared · 19,992 equal · 1 mismatched · 7 missing · 1 extra |\n" in text
    assert "| namespace en | 4 | 10 | 0.975 (0.940-1.000) | 3 | 0.949 (0.930-0.970) |  |\n" in text
    assert "<details><summary>7 missing</summary>\n\n- `w0` in `en`\n" in text
    assert "- … and 2 more\n" in text


def test_what_is_relevant_is_a_table_of_both_sides_in_markdown() -> None:
    text = report_markdown([RELEVANCE])
    assert "| 2 queries with relevant ids, top 10 | nDCG | MRR | recall |\n" in text
    assert "| source | 0.600 (0.500-0.700) | 0.500 (0.400-0.600) | 0.750 (0.650-0.850) |\n" in text
    assert "| target | 0.812 (0.740-0.880) | 0.790 (0.700-0.870) | 0.900 (0.840-0.950) |\n" in text
    unknown = replace(RELEVANCE, labelled=(replace(RELEVANCE.labelled[0], source=None, note="its model is retired"),))
    assert "| source | not measured | not measured | not measured |\n" in report_markdown([unknown])
    assert "- its model is retired\n" in report_markdown([unknown])


def test_what_is_relevant_is_told_and_plotted_for_both_sides_in_html() -> None:
    html = report_html([RELEVANCE])
    for part in (
        "<h2>Relevance</h2>",
        "2 queries with relevant ids, top 10",
        "0.600 (0.500-0.700)",
        "0.900 (0.840-0.950)",
    ):
        assert part in html
    captions = re.findall(r"<figcaption>(nDCG.*?)</figcaption>", html)
    assert captions == [f"nDCG of the {side}, 2 queries with relevant ids, top 10" for side in ("source", "target")]
    assert len(re.findall("<svg", html)) == len(re.findall("<svg", report_html([REPORT]))) + 2


@pytest.mark.parametrize("text", [plan_markdown(BAD_PLAN), report_markdown([BAD_REPORT])])
def test_data_in_markdown_stays_text(text: str) -> None:
    assert all(line.isprintable() for line in text.split("\n"))
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    assert "alert(1)" in rendered
    for active in ("<script", "<strong>bold", "<a ", "\\|"):
        assert active not in rendered


def test_the_html_of_a_report_is_one_whole_file_that_asks_for_nothing_from_elsewhere() -> None:
    html = report_html([REPORT, FAILED, UNDECIDED], "vecmig 0.1.0")
    assert html.startswith("<!doctype html>")
    assert "default-src 'none'" in html
    assert not re.search(r"<(script|link|img|iframe)|@import|url\((?!#)", html)
    # addresses stand in it as the names of XML, and nowhere else
    assert set(re.findall(r'(\S+)="https?://', html)) == {"xmlns", "xmlns:xlink"}
    for part in ("Verification FAILED", "Verification passed", "Verification could not decide", "vecmig 0.1.0"):
        assert part in html


def test_the_html_of_a_report_plots_counts_overlap_and_recall_with_their_intervals() -> None:
    html = report_html([FAILED])
    plots = [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]
    words = [" ".join("".join(each.itertext()).split()) for each in plots]
    assert len(plots) == 3
    assert "expected" in words[0]
    assert "mean 0.975 (0.940-1.000)" in words[1]
    assert "mean 0.949 (0.930-0.970)" in words[2]
    assert "var(--main)" in html
    assert not re.search(r"#0[0-9a-f]0[0-9a-f]0[0-9a-f]\b", html)  # no colour that stands for a variable is left


def test_the_html_of_a_report_is_the_same_each_time() -> None:
    assert report_html([FAILED, REPORT]) == report_html([FAILED, REPORT])


def test_data_in_html_stays_text() -> None:
    html = report_html([replace(BAD_REPORT, count=FAILED.count), BAD_REPORT])
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert all(line.isprintable() for line in html.split("\n"))


def test_a_namespace_that_looks_like_a_formula_is_drawn_as_it_stands() -> None:
    counts = replace(FAILED.count, expected={"$\\frac{1}{0$": 1, "a_b^c$": 2, HOSTILE: 1})  # type: ignore[type-var]  # not None
    html = report_html([replace(FAILED, count=counts)])
    assert "$\\frac{1}{0$" in html
    assert "<script" not in html


def test_a_report_whose_values_are_all_equal_or_none_can_be_plotted() -> None:
    alike = replace(REPORT.search[0], overlaps=(0.0,) * 3, recalls=(), recall=None)
    assert "<svg" in report_html([replace(REPORT, search=(alike,))])
    assert "<svg" not in report_html([replace(REPORT, search=())])


WITHOUT_MATPLOTLIB = """
import sys
sys.modules["matplotlib"] = sys.modules["matplotlib.figure"] = None
from tests.reporting.examples import FAILED
from vecmig.errors import PluginError
from vecmig.reporting.html import report_html
try:
    report_html([FAILED])
except PluginError as error:
    print(error)
"""


def test_html_without_matplotlib_says_what_to_install() -> None:
    said = subprocess.run(
        [sys.executable, "-c", WITHOUT_MATPLOTLIB], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert said.endswith("pip install 'vecmig[report]'\n")
    assert issubclass(PluginError, Exception)


def test_text_of_a_terminal_loads_neither_rich_nor_matplotlib_nor_jinja() -> None:
    code = (
        "import sys, vecmig.reporting.terminal.plan, vecmig.reporting.terminal.report, vecmig.reporting.terminal.state,"
        "vecmig.reporting.progress, vecmig.reporting.json, vecmig.reporting.markdown;"
        "print([m for m in ('rich', 'matplotlib', 'jinja2', 'pyarrow') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert said == "[]\n"


def test_a_migration_name_is_shown_in_markdown_warnings_only_among_several() -> None:
    one = replace(MIGRATION, risks=("look out",))
    assert "> look out" in plan_markdown(replace(PLAN, migrations=(one,)))
    assert "> `words`: look out" in plan_markdown(replace(PLAN, migrations=(one, UNCHANGED)))
