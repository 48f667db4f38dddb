"""Files of queries, and the thresholds that need them."""

from pathlib import Path

import pytest

from tests.spec.conftest import SPEC, Load, Problems
from vecmig.errors import Problem
from vecmig.model.filter import parse
from vecmig.spec.golden import MAX_QUERIES

FILE = "verification: {search: {queries: {file: golden.jsonl}}}\n"


@pytest.fixture
def wrong(tmp_path: Path, problems: Problems) -> "Wrong":
    return Wrong(tmp_path, problems)


class Wrong:
    """Loads a spec beside a file with these lines, and returns its problems."""

    def __init__(self, directory: Path, problems: Problems) -> None:
        self.file, self.problems = directory / "golden.jsonl", problems

    def __call__(self, *lines: str | bytes, spec: str = SPEC + FILE) -> list[Problem]:
        self.file.write_bytes(b"\n".join(each if isinstance(each, bytes) else each.encode() for each in lines))
        return self.problems(spec)


def test_a_file_of_queries_is_read_with_texts_vectors_filters_namespaces_and_grades(
    tmp_path: Path, loaded: Load
) -> None:
    lines = (
        '\ufeff{"text": "a", "relevant": ["x", 7, "x"]}',
        "",
        '{"vector": [1, 2.5], "filter": {"n": {"gt": 3}}, "namespace": "de"}',
        '{"vector": {"title": [1], "body": [2, 3]}, "relevant": {"y": 2, "z": 0}}',
    )
    (tmp_path / "golden.jsonl").write_text("\r\n".join(lines), newline="")
    golden = loaded(SPEC + FILE).migrations[0].golden
    assert golden
    assert golden.file == str(tmp_path / "golden.jsonl")
    assert golden.labelled == 2
    first, second, third = golden.queries
    assert (first.line, first.text, first.relevant) == (1, "a", {"x": 1, "7": 1})
    assert (second.line, second.vectors, second.namespace) == (3, {None: (1, 2.5)}, "de")
    assert second.filter == parse({"n": {"gt": 3}})
    assert third.vectors == {"title": (1,), "body": (2, 3)}
    assert third.relevant == {"y": 2, "z": 0}


def test_the_path_is_relative_to_the_spec_and_may_be_an_expression(tmp_path: Path, loaded: Load) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "q.jsonl").write_text('{"text": "a"}')
    spec = SPEC + 'vars: {set: q}\nverification: {search: {queries: {file: "sub/{{ vars.set }}.jsonl"}}}\n'
    assert loaded(spec).migrations[0].golden


def test_a_file_that_is_not_there_is_told_where_the_spec_names_it(problems: Problems) -> None:
    (problem,) = problems(SPEC + FILE)
    assert "there is no file of queries" in problem.message
    assert problem.position
    assert (problem.position.line, problem.position.column) == (9, 41)
    assert "relative to the spec" in problem.hint


def test_a_directory_is_no_file_of_queries(tmp_path: Path, problems: Problems) -> None:
    (tmp_path / "golden.jsonl").mkdir()
    (problem,) = problems(SPEC + FILE)
    assert "cannot read the file of queries" in problem.message


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ('{"text": "a"', "no JSON object", "a line of its own"),
        ("[1]", "expected a mapping", ""),
        ('{"text": "a", "relevent": ["x"]}', "unknown key `relevent`", "did you mean `relevant`?"),
        ('{"text": 3}', "`text`: expected text, got an integer", ""),
        ('{"text": "a", "vector": [1]}', "both `text` and `vector`", "give one"),
        ("{}", "neither `text` nor `vector`", "give one"),
        ('{"text": " "}', "`text` is empty", ""),
        ('{"vector": []}', "without numbers", ""),
        ('{"vector": {}}', "names none", "title"),
        ('{"vector": {"a": [1, "x"]}}', "`vector`: expected a number, got text", ""),
        ('{"vector": {"a": {"indices": [1], "values": [1]}}}', "`vector`: expected a list, got a mapping", ""),
        ('{"vector": [1e999]}', "`vector`: number out of range", ""),
        ('{"text": "a", "filter": {"n": {"gtt": 1}}}', "`gtt` is no comparison", ""),
        ('{"text": "a", "filter": {}}', "`filter`: a filter is a mapping", ""),
        ('{"text": "a", "relevant": []}', "nothing that is relevant", "leave it out"),
        ('{"text": "a", "relevant": {"x": 0}}', "nothing that is relevant", "leave it out"),
        ('{"text": "a", "relevant": {"x": -1, "y": 1}}', "below 0", ""),
        (b'{"text": "\xff"}', "not UTF-8", "save it"),
        ('{"vector": [1, 2, 3]}', "of 3 numbers, and that of line 1 has 2", ""),
    ],
)
def test_a_line_that_is_wrong_is_told_with_its_number(wrong: Wrong, line: str, message: str, hint: str) -> None:
    (problem,) = wrong('{"vector": [1, 2]}', "", line)
    assert message in problem.message
    assert hint in problem.hint
    assert problem.position
    assert (problem.position.file, problem.position.line) == (str(wrong.file), 3)
    assert problem.excerpt.startswith("  3 | ")


def test_all_lines_that_are_wrong_are_told_at_once_with_what_is_wrong_in_the_spec(wrong: Wrong) -> None:
    found = wrong("nope", '{"text": "a"}', "[]", spec=SPEC + FILE + "index: {mm: 3}\n")
    assert [each.position and each.position.line for each in found if "golden" in str(each.position)] == [1, 3]
    assert any("unknown key 'mm'" in each.message for each in found)


def test_of_a_file_that_is_wrong_throughout_only_the_first_lines_are_told(wrong: Wrong) -> None:
    found = wrong(*["nope"] * 500)
    assert len(found) == 21
    assert "only the first 20" in found[-1].message


def test_a_line_break_within_a_text_moves_no_excerpt(wrong: Wrong) -> None:
    (problem,) = wrong('{"text": "a\u2028b"}', '{"text": "c\u2028d", "x": 1}')
    assert problem.position
    assert problem.position.line == 2
    assert problem.excerpt.startswith('  2 | {"text": "c d"')


def test_an_empty_file_and_one_that_is_too_long_are_refused(wrong: Wrong) -> None:
    (empty,) = wrong("", "")
    assert "holds none" in empty.message
    (long,) = wrong(*['{"text": "a"}'] * (MAX_QUERIES + 5))
    assert "more than 10,000 queries" in long.message


@pytest.mark.parametrize("queries", ["{sample: 5, file: golden.jsonl}", "{}", "{sample: null}"])
def test_queries_come_from_one_place(wrong: Wrong, queries: str) -> None:
    (problem,) = wrong('{"text": "a"}', spec=SPEC + f"verification: {{search: {{queries: {queries}}}}}\n")
    assert problem.message == "queries come from a sample or from a file"
    assert "golden.jsonl" in problem.hint


def test_queries_of_a_migration_take_the_place_of_the_specs(tmp_path: Path, loaded: Load) -> None:
    (tmp_path / "golden.jsonl").write_text('{"text": "a"}')
    own = SPEC.replace("target: shop}", "target: shop, verification: {search: {queries: {file: golden.jsonl}}}}")
    migration = loaded(own + "verification: {search: {queries: {sample: 5}, top_k: 7}}\n").migrations[0]
    search = migration.verification.search
    assert search
    assert (search.queries.sample, search.queries.file, search.top_k) == (None, "golden.jsonl", 7)
    assert migration.golden


@pytest.mark.parametrize("measure", ["ndcg", "mrr", "labelled_recall"])
def test_a_measure_of_what_is_relevant_needs_queries_that_say_it(wrong: Wrong, loaded: Load, measure: str) -> None:
    asked = f"  thresholds: {{{measure}: 0.8}}\n"
    for search in ("", "  search: null\n", "  search: {queries: {file: golden.jsonl}}\n"):
        (problem,) = wrong('{"text": "a"}', spec=SPEC + "verification:\n" + search + asked)
        assert problem.message.startswith(f"`{measure}` needs queries that say what is relevant")
        assert "golden.jsonl" in problem.hint
        assert problem.excerpt.splitlines()[0].endswith(asked.strip())
    wrong.file.write_text('{"text": "a", "relevant": ["x"]}')
    asked = "verification:\n  search: {queries: {file: golden.jsonl}}\n" + asked
    assert getattr(loaded(SPEC + asked).migrations[0].verification.thresholds, measure) == 0.8


def test_a_threshold_of_a_file_that_cannot_be_read_is_no_second_problem(problems: Problems) -> None:
    (problem,) = problems(SPEC + FILE.replace("}}}", "}}, thresholds: {ndcg: 0.5}}"))
    assert "there is no file" in problem.message


def test_a_query_filters_by_the_targets_names(wrong: Wrong) -> None:
    spec = SPEC + FILE + "fields: {kind: {from: sort}, old: {drop: true}}\n"
    found = wrong(
        '{"text": "a", "filter": {"kind": 1}}',
        '{"text": "a", "filter": {"sort": 1}}',
        '{"text": "a", "filter": {"old": 1}}',
        spec=spec,
    )
    assert [each.position and each.position.line for each in found] == [2, 3]
    assert "write `kind`" in found[0].hint
    assert "which `fields` drops" in found[1].message
