"""The text that is embedded: a template, over data and by people that nobody knows."""

import pytest

from vecmig.conversion.text import rendered


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ title }}\n\n{{ text }}", "A\n\nb & <c>"),
        ("{{ text }}", "b & <c>"),
        ("{{ gone }}", None),
        ("{{ gone.deeper }} {{ title }}", "A"),
        ("{{ none }}{{ title }}", "A"),
        ("{% if tags %}{{ tags | join(', ') }}: {% endif %}{{ title | lower }}", "x, y: a"),
        ("{{ nested.key }}", "v"),
        ("{{ number }}", "3"),
    ],
)
def test_a_template_reads_the_metadata(template: str, text: str | None) -> None:
    record = {
        "title": "A",
        "text": "b & <c>",
        "none": None,
        "tags": ["x", "y"],
        "nested": {"key": "v"},
        "number": 3,
    }
    assert rendered(template, record) == text


@pytest.mark.parametrize(
    "template",
    [
        "{{ title + 3 }}",
        "{{ 1 / 0 }}",
        "{{ range(10) }}",
        "{% for a in lots %}{% for b in lots %}{% for c in lots %}xxxxxxxxxxxxxxxx{% endfor %}{% endfor %}{% endfor %}",
    ],
)
def test_a_template_that_does_not_work_ends_with_a_reason_without_values(template: str) -> None:
    with pytest.raises(ValueError) as raised:
        rendered(template, {"title": "secret", "lots": list(range(1000))})
    assert "secret" not in str(raised.value)


def test_a_template_reaches_nothing_but_the_record() -> None:
    assert not rendered("{{ title.__class__ }}", {"title": "a"})
    with pytest.raises(ValueError, match="SecurityError"):
        rendered("{{ title.__class__.__mro__ }}{{ ''.__class__.__base__.__subclasses__() }}", {"title": "a"})


@pytest.mark.parametrize(
    "template",
    [
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{% extends 'a' %}",
        "{{ lipsum(5) }}",
        "{{ cycler('a') }}",
        "{{ namespace(a=1).a }}",
        "{{ dict(a=1) }}",
        "{{ title.format.__globals__ }}",
        "{{ '{0.__class__.__mro__}'.format(title) }}",
        "{{ self.__init__.__globals__ }}",
        "{{ tags.append('x') }}",
        "{% for each in tags %}{{ each.__init__.__globals__ }}{% endfor %}",
        "{{ title | attr('__class__') }}",
        "{{ (title | map(attribute='__class__') | list)[0].__mro__ }}",
    ],
)
def test_a_strangers_template_reaches_no_file_no_module_and_changes_nothing(template: str) -> None:
    record = {"title": "a", "tags": ["b"]}
    try:
        found = rendered(template, record)
    except ValueError:
        found = None
    assert found is None or "<" not in found
    assert record == {"title": "a", "tags": ["b"]}
