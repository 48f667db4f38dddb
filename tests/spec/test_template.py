import pytest

from vecmig.spec.template import ExpressionError, literal, read, render


def evaluated(source: str) -> str:
    read(source)
    return render(source, {"m": 5, "name": "Kb", "items": "x"})


@pytest.mark.parametrize(
    ("source", "text"),
    [("{{ vars.m }}", "5"), ("a{{ vars['m'] }}b", "a5b"), ("{{ vars.m * 2 + 1 }}", "11"), ("{{ vars.name | lower }}", "kb"), ("{{ vars.x | default('y') }}", "y"),
     ("{{ 'big' if vars.m > 3 else 'small' }}", "big"), ("{{ vars.items }}", "x"), ("{{ vars.x is defined }}", "false"), ("{{ vars.name ~ '-' ~ vars.m }}", "Kb-5")],
)  # fmt: skip
def test_an_expression_reads_variables(source: str, text: str) -> None:
    assert evaluated(source) == text


@pytest.mark.parametrize(
    "source",
    ["{{ ''.__class__ }}", "{{ vars.m.__class__ }}", "{{ ().__class__.__bases__ }}", "{{ vars.__init__ }}", "{{ vars.name.upper() }}",
     "{{ cycler }}", "{{ range(9) }}", "{{ self }}", "{{ vars }}", "{{ env }}", "{% for x in 'ab' %}{% endfor %}", "{% set a = 1 %}", "{{ vars.name | attr('__class__') }}",
     "{{ vars.name | map('upper') }}", "{{ lipsum.__globals__ }}", "{{ 1 | random }}"],
)  # fmt: skip
def test_an_expression_cannot_leave_the_sandbox(source: str) -> None:
    with pytest.raises(ExpressionError):
        evaluated(source)


@pytest.mark.parametrize(
    "source",
    ["{{ 'a' * 999999999 }}", "{{ 9 ** 9 ** 9 }}", "{{ '%999999999d' % 1 }}", "{{ [1] * 99999999 }}", "{{" + "(" * 4000 + "1" + ")" * 4000 + "}}", "{{" + "-" * 4000 + "1}}",
     "{{ 'a'" + " | replace('a', 'aaaaaaaa')" * 30 + " }}", "{{ " + "1" * 5000 + " }}", "x" * 20_000 + "{{ 1 }}"],
)  # fmt: skip
def test_an_expression_cannot_eat_the_machine(source: str) -> None:
    with pytest.raises(ExpressionError):
        evaluated(source)


@pytest.mark.parametrize(
    "source", ["{{", "{{ }}", "{{ vars. }}", "{{ vars.m | nothing }}", "{{ 1 / 0 }}", "{{ vars.m + 'x' }}"]
)
def test_an_expression_that_fails_says_so(source: str) -> None:
    with pytest.raises(ExpressionError):
        evaluated(source)


@pytest.mark.parametrize("text", ["{{ env.HOME }}", '"', "\\", "a\nb", "{% x %}", "{#", "}}", '\\"}} {{'])
def test_a_literal_renders_to_the_very_text(text: str) -> None:
    assert render(literal(text), {}) == text


def test_the_names_that_an_expression_uses_are_known_without_rendering_it() -> None:
    expression = read("{{ vars.a | default(vars.b) }}{{ vars.c }}{{ env.D }}")
    assert expression.variables == {"c"}
    assert expression.optional == {"a", "b"}
    assert expression.environment == {"D"}
