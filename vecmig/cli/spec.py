"""init, validate, inspect and schema: the commands around the file."""

from pathlib import Path

import click

from vecmig.cli.project import project_of
from vecmig.cli.settings import Settings, echo_json, global_options
from vecmig.errors import Problem, SpecError

DIFFERS = 1


@click.command()
@click.option("--name", metavar="NAME", help="Name of the spec.  [default: that of the directory]")
@global_options
def init(settings: Settings, name: str | None) -> None:
    """Write a first spec to edit: from a snapshot into a PostgreSQL in this directory."""
    from vecmig.spec.write import scaffold

    path = Path(settings.file)
    text = scaffold(name or path.absolute().parent.name)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise SpecError(Problem(f"{path} exists already", hint="name another with -f, or edit that one")) from None
    except OSError as error:
        raise SpecError(Problem(f"cannot write {path}: {error.strerror}")) from error
    if settings.as_json:
        echo_json(wrote=str(path))
        return
    click.echo(f"Wrote {path}. Edit it, then: vecmig validate, vecmig plan")


@click.command()
@global_options
def validate(settings: Settings) -> None:
    """Check the spec without any connection: every problem at once, each with its place."""
    try:
        project = project_of(settings)
    except SpecError as error:
        if settings.as_json:
            problems = [
                {
                    "message": each.message,
                    "hint": each.hint,
                    "file": each.position.file if each.position else None,
                    "line": each.position.line if each.position else None,
                    "column": each.position.column if each.position else None,
                }
                for each in error.problems
            ]
            echo_json(valid=False, problems=problems)
        raise
    if settings.as_json:
        echo_json(valid=True, notes=project.notes)
        return
    for note in project.notes:
        click.echo(f"note: {note}")
    names = ", ".join(migration.name for migration in project.migrations) or "no migrations"
    click.echo(f"{project.file} is valid: {project.name} in {project.environment}, {names}")


@click.command()
@click.argument("type_name", metavar="TYPE")
@click.argument("options", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--as-source", is_flag=True, help="Write it as a source, not as an adopted target.")
@click.option("--name", metavar="NAME", default="inspected", show_default=True, help="Name of the spec.")
@global_options
def inspect(settings: Settings, type_name: str, options: tuple[str, ...], as_source: bool, name: str) -> None:
    """Read a live collection and write the spec that describes it.

    For example: vecmig inspect pgvector 'dsn={{ env.DATABASE_URL }}' table=kb_chunks
    """
    from vecmig.migration import Endpoint
    from vecmig.spec.options import elements_of, read_options
    from vecmig.spec.write import write
    from vecmig.workflow.observe import inspect as look

    given = {}
    for each in options:
        key, equals, value = each.partition("=")
        if not equals:
            raise SpecError(Problem(f"inspect takes KEY=VALUE, not {each!r}", hint="such as table=kb_chunks"))
        given[key] = value
    endpoint = Endpoint(name, type_name, read_options(type_name, given, "."))
    values = {key: text if (elements := elements_of(text)) is None else elements for key, text in given.items()}
    text = write(name, type_name, values, look(endpoint), as_source)
    if "file" in settings.given:
        try:
            with open(settings.file, "x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise SpecError(Problem(f"cannot write {settings.file}: {error.strerror}")) from error
    if settings.as_json:
        echo_json(spec=text, wrote=settings.file if "file" in settings.given else None)
    elif "file" in settings.given:
        click.echo(f"Wrote {settings.file}.")
    else:
        click.echo(text, nl=False)


@click.command()
@click.option(
    "--of", "kind", default="spec", show_default=True, metavar="KIND", help="spec, plan, report, outcome, state."
)
@click.option("--check", metavar="FILE", help="Exit with 1 where FILE differs from the schema of specs.")
@click.option("--out", metavar="FILE", help="Write it to FILE.")
@global_options
def schema(settings: Settings, kind: str, check: str | None, out: str | None) -> int:
    """Print the JSON Schema of specs, or of the documents that --json prints."""
    text = _schema(kind)
    try:
        if check:
            if Path(check).read_bytes() != text.encode():
                click.echo(f"{check} is not the schema of this version: vecmig schema --out {check}", err=True)
                return DIFFERS
            click.echo(f"{check} is up to date")
        elif out:
            Path(out).write_text(text, encoding="utf-8")
        else:
            click.echo(text, nl=False)
    except OSError as error:
        raise SpecError(Problem(f"cannot {'read' if check else 'write'} {check or out}: {error.strerror}")) from error
    return 0


def _schema(kind: str) -> str:
    if kind == "spec":
        from vecmig.spec.schema import published_text

        return published_text()
    from vecmig.reporting.json import schema_json, schemas

    if kind not in schemas():
        raise SpecError(Problem(f"there is no schema of {kind!r}", hint=f"one of spec, {', '.join(schemas())}"))
    return schema_json(kind)
