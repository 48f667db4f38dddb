from pathlib import Path

import pytest

from vecmig.errors import Position, SpecError
from vecmig.spec.load import load

from .conftest import ENDS, HEAD, MIGRATION, SPEC, Problems


def test_all_problems_are_told_at_once_in_the_order_of_the_file(problems: Problems) -> None:
    text = """\
version: 2
name: a name
sources:
  kb: {type: memory, colection: old}
index: {m: many, ef_constructon: 200}
index: {}
verification:
  thresholds: {overlap: 1.5}
fields:
  title: {search: true}
migrations:
  - {name: one, source: kbb, target: none, limit: 0}
  - {name: one, source: kb}
unknown: 1
"""
    found = problems(text)
    lines = [problem.position.line for problem in found if problem.position]
    assert len(lines) == len(found)
    assert lines == sorted(lines)
    assert lines == [1, 2, 4, 5, 5, 6, 8, 10, 12, 12, 12, 13, 13, 14]


def test_a_problem_shows_the_line_a_caret_and_the_nearest_key(tmp_path: Path) -> None:
    path = tmp_path / "vecmig.yaml"
    path.write_text(SPEC + "index:\n  ef_constructon: 200\n")
    with pytest.raises(SpecError) as caught:
        load(str(path))
    assert str(caught.value) == (
        f"{path}:10:3: unknown key 'ef_constructon' in `index`\n"
        "  10 |   ef_constructon: 200\n"
        "         ^\n"
        "  did you mean `ef_construction`?"
    )


def test_the_caret_stands_below_its_character_after_tabs_and_wide_lines(problems: Problems) -> None:
    text = SPEC + 'vars: {a: "' + " " * 300 + "\t" * 3 + '", 1: x}\n'
    (problem,) = problems(text)
    line, caret = problem.excerpt.split("\n")
    assert line[caret.index("^")] == "1"
    assert len(line) < 130


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("index: {m: 1.0}", (9, 12), "`index.m` must be an integer, not 1.0"),
        ("index: {metric: cosin}", (9, 17), "`index.metric` must be `cosine`, `dot`, `hamming`, `l1` or `l2`, not 'cosin'"),
        ("index: []", (9, 8), "`index` must be a mapping, not a list"),
        ("vars: {1a: x}", (9, 8), "'1a' is no name that fits here"),
        ("limits: {max_quarantined: -1}", (9, 27), "`limits.max_quarantined` must be at least 0, not -1"),
        ("verification: {records: some}", (9, 25), "`verification.records` must be `all`, `none` or {sample: …}, not 'some'"),
        ("verification: {records: {sample: 0}}", (9, 34), "`verification.records.sample` must be at least 1, not 0"),
        ("verification: {records: {samples: 5}}", (9, 26), "unknown key 'samples' in `verification.records`"),
        ("environments: {prod: {protected: yes}}", (9, 34), "`environments.prod.protected` must be true or false, not 'yes'"),
        ("execution: {engine: ray}", (9, 21), "`execution.engine` must be `local`, not 'ray'"),
        ("state: {backend: postgres}", (9, 18), "`state.backend` must be `file`, not 'postgres'"),
        ("fields: {a: {type: string}}", (9, 20), "`fields.a.type` must be"),
        ("1: x", (9, 1), "unknown key '1'"),
        ("null: x", (9, 1), "unknown key 'null'"),
        ("verification: {thresholds: {overlap: .nan}}", (9, 38), "`verification.thresholds.overlap` must be a number, not '.nan'"),
    ],
)  # fmt: skip
def test_each_problem_is_one_sentence_at_its_place(
    problems: Problems, text: str, position: tuple[int, int], message: str
) -> None:
    (problem,) = problems(SPEC + text + "\n")
    assert problem.position
    assert (problem.position.line, problem.position.column) == position
    assert problem.message.startswith(message)


def test_a_missing_key_says_what_belongs_there(problems: Problems) -> None:
    (problem,) = problems("version: 1\n" + ENDS)
    assert problem.message == "the spec needs `name`"
    assert "For example `name: support-kb`" in problem.hint
    (problem,) = problems(HEAD + "sources:\n  kb: {type: memory}\n")
    assert problem.message == "`sources.kb` needs `collection`"
    assert problem.position == Position(problem.position.file if problem.position else "", 4, 3)


def test_only_the_options_of_the_type_that_is_named_are_asked_for(problems: Problems) -> None:
    (problem,) = problems(SPEC.replace("collection: new", "collection: new, databas: x"))
    assert problem.message == "unknown key 'databas' in `targets.shop`"
    assert problem.hint == "did you mean `database`?"


def test_an_unknown_type_names_the_connectors_but_not_those_for_tests(problems: Problems) -> None:
    (problem,) = problems(SPEC.replace("{type: memory, collection: old}", "{type: pgvectr, dsn: x}"))
    assert (
        problem.message
        == "`sources.kb.type` must be `documents`, `pgvector`, `pinecone`, `snapshot` or `weaviate`, not 'pgvectr'"
    )
    assert problem.hint == "did you mean `pgvector`?"


def test_pages_are_no_key_of_a_spec(problems: Problems) -> None:
    (problem,) = problems(SPEC.replace("collection: new", "collection: new, page_rows: 3"))
    assert "unknown key 'page_rows'" in problem.message


def test_a_file_that_is_not_there_names_init(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="vecmig init"):
        load(str(tmp_path / "vecmig.yaml"))


def test_a_directory_is_no_spec(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot read spec"):
        load(str(tmp_path))


def test_what_is_not_utf_8_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "vecmig.yaml"
    path.write_bytes(b"version: 1\nname: caf\xe9\n")
    with pytest.raises(SpecError) as caught:
        load(str(path))
    assert caught.value.problems[0].position == Position(str(path), 2, 10)


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "vecmig.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + SPEC.encode())
    assert load(str(path)).name == "test"


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "~", "[]", "5", "text"])
def test_what_is_no_mapping_is_refused(problems: Problems, text: str) -> None:
    (problem,) = problems(text)
    assert "init" in problem.hint


def test_problems_do_not_hide_those_of_other_parts(problems: Problems) -> None:
    text = (
        HEAD
        + ENDS.replace("kb:", "kb: &a")
        + MIGRATION.replace("source: kb", "source: kb2")
        + "index: {m: x, lists: 3}\n"
    )
    assert [problem.message.split(",")[0] for problem in problems(text)] == [
        "there is no source `kb2`",
        "`index.m` must be an integer",
        "`lists` is a setting of `ivfflat`",
    ]
