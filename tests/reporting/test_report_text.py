import re

from msgspec.structs import replace

from tests.reporting.examples import BETTER, FAILED, HOSTILE, RELEVANCE, REPORT, UNDECIDED
from vecmig.model.record import Key
from vecmig.model.report import Breach, CountCheck, LabelledCheck, RecordsCheck
from vecmig.reporting.terminal.report import report_text


def test_a_report_that_passed() -> None:
    assert report_text(REPORT) == (
        "Verification passed                                                     quickstart · default · words\n"
        "\n"
        "  snapshot glove -> pgvector public.words\n"
        "    count       20,000 expected, 20,000 found\n"
        "    records     20,000 compared, all equal in every id, vector and metadata value\n"
        "    search      4 queries, top 10 · overlap 0.975 (0.940-1.000) · 3 identical · recall 0.999\n"
        "                (0.999-1.000)\n"
        "    search      where initial = k: 4 queries, top 10 · overlap not measured · recall 1.000\n"
        "                (1.000-1.000) · only the target\n"
        "\n"
        "Took        3 m 12 s, begun 2026-11-23 10:00:00 UTC\n"
    )


def test_a_report_that_failed_begins_with_what_was_missed_and_how_to_mend_it() -> None:
    assert report_text(FAILED) == (
        "Verification FAILED                                                     quickstart · default · words\n"
        "\n"
        "! missing 7, at most 0 asked\n"
        "! extra 1, at most 0 asked: `prune: true` removes them\n"
        "! recall 0.949, at least 0.950 asked: raise ef_search or ef_construction\n"
        "\n"
        "  snapshot glove -> pgvector public.words\n"
        "    count       20,000 expected, 19,994 found: en 7,993 of 8,000 · fr 1 of 0\n"
        "    quarantined 2 records put aside, not expected in the target\n"
        "    records     20,001 compared · 19,992 equal · 1 mismatched · 7 missing · 1 extra\n"
        "    mismatched  'king' in namespace 'en'\n"
        "    missing     'w0' in namespace 'en', 'w1' in namespace 'en', 'w2' in namespace 'en' … and 4 more\n"
        "    extra       'roi' in namespace 'fr'\n"
        "    search      namespace en: 4 queries, top 10 · overlap 0.975 (0.940-1.000) · 3 identical · recall\n"
        "                0.949 (0.930-0.970)\n"
        "\n"
        "Took        3 m 12 s, begun 2026-11-23 10:00:00 UTC\n"
    )


def test_a_report_that_could_not_decide_calls_nothing_passed() -> None:
    text = report_text(UNDECIDED)
    assert text == (
        "Verification could not decide                                           quickstart · default · words\n"
        "\n"
        "! overlap could not be measured, at least 0.950 asked: the source cannot search\n"
        "\n"
        "  snapshot glove -> pgvector public.words\n"
        "    count       not checked\n"
        "    records     1,000 compared (a sample of 1,000) · 998 equal · 2 unknown\n"
        "    note        the source changed while it was read\n"
        "\n"
        "Took        3 m 12 s, begun 2026-11-23 10:00:00 UTC\n"
    )


def test_what_is_relevant_is_measured_on_both_sides_below_each_other() -> None:
    assert (
        "    relevance   2 queries with relevant ids, top 10\n"
        "    - source    nDCG 0.600 (0.500-0.700) · MRR 0.500 (0.400-0.600) · recall 0.750 (0.650-0.850)\n"
        "    - target    nDCG 0.812 (0.740-0.880) · MRR 0.790 (0.700-0.870) · recall 0.900 (0.840-0.950)\n"
    ) in report_text(RELEVANCE)


def test_a_side_that_ranked_nothing_is_called_not_measured_and_says_why() -> None:
    check = LabelledCheck("title", 2, 10, None, BETTER, "the source is not measured: its model is retired")
    text = report_text(replace(REPORT, labelled=(check,)))
    assert "relevance   vector title: 2 queries with relevant ids, top 10 · the source is not" in text
    assert "    - source    not measured\n" in text
    assert "    - target    nDCG 0.812" in text


def test_shares_of_all_measures_are_shown_as_shares() -> None:
    for measure in ("overlap", "recall", "ndcg", "mrr", "labelled_recall"):
        text = report_text(replace(REPORT, verdict="failed", breaches=(Breach(measure, 0.8, 0.75),)))
        assert f"! {measure} 0.750, at least 0.800 asked\n" in text


def test_records_that_were_not_compared_are_not_called_equal() -> None:
    text = report_text(replace(REPORT, records=None, search=()))
    assert "    records     not compared\n" in text
    assert "equal" not in text


def test_an_empty_comparison_is_not_called_equal() -> None:
    assert "    records     none to compare\n" in report_text(replace(REPORT, records=RecordsCheck(0, 0)))


def test_verbose_shows_every_key_kept_every_namespace_and_the_digests() -> None:
    counts = CountCheck({f"n{i}": 1 for i in range(9)}, {})
    report = replace(FAILED, count=counts, records=replace(FAILED.records, digests=("ab", "cd")))  # type: ignore[type-var]  # not None
    brief, full = report_text(report), report_text(report, verbose=True)
    assert "… and 3 more namespaces (-v)" in brief
    for part in ("n8 0 of 1", "'w4' in namespace 'en' … and 2 more", "ab · cd"):
        assert part in full
        assert part not in brief


def test_keys_that_were_not_kept_are_still_counted() -> None:
    text = report_text(replace(REPORT, records=RecordsCheck(10, 9, missing=1)))
    assert "    missing     1, ids not kept\n" in text


def test_nothing_from_data_reaches_the_terminal_as_a_command() -> None:
    keys = (Key(HOSTILE, HOSTILE),)
    bad = replace(
        FAILED,
        name=HOSTILE,
        migration=HOSTILE,
        source=HOSTILE,
        target=HOSTILE,
        count=CountCheck({HOSTILE: 1}, {}),
        records=RecordsCheck(9, 5, 1, 1, 1, 1, 1, None, None, keys, keys, keys, keys),
        search=tuple(
            replace(each, vector=HOSTILE, namespace=HOSTILE, filter=HOSTILE, note=HOSTILE) for each in FAILED.search
        ),
        labelled=(LabelledCheck(HOSTILE, 2, 10, note=HOSTILE),),
        breaches=(Breach(HOSTILE, 1, 2, HOSTILE),),
        notes=(HOSTILE,),
    )
    assert all(line.isprintable() for line in report_text(bad, verbose=True).split("\n"))


def test_colour_comes_only_if_asked_and_changes_no_word() -> None:
    coloured = report_text(FAILED, colour=True)
    assert coloured.startswith("\x1b[31mVerification FAILED\x1b[0m")
    assert re.sub(r"\x1b\[\d+m", "", coloured) == report_text(FAILED)


def test_searches_are_left_out_whole_and_the_records_without_a_namespace_are_told_from_the_others() -> None:
    checks = tuple(replace(REPORT.search[0], namespace=name) for name in ("", *"abcdefgh"))
    lines = report_text(replace(REPORT, search=checks)).splitlines()
    searches = [line for line in lines if line.lstrip().startswith("search")]
    assert "no namespace: 4 queries" in searches[0]
    assert "namespace a: 4 queries" in searches[1]
    assert len(searches) == 5
    assert "    … and 4 more searches (-v shows all)" in lines
    assert "namespace h: 4 queries" in report_text(replace(REPORT, search=checks), verbose=True)
