"""doctor: is all here that a migration needs?"""

import platform
from importlib.metadata import version

import click

from vecmig.cli.project import project_of
from vecmig.cli.settings import Settings, echo_json, global_options

FAILED = 1


@click.command()
@global_options
def doctor(settings: Settings) -> int:
    """Check versions, connectivity and rights of every source and target. Writes nothing."""
    from vecmig.workflow.observe import diagnose

    checks = [("vecmig", True, f"{version('vecmig')} on Python {platform.python_version()}")]
    checks += diagnose(project_of(settings))
    if settings.as_json:
        rows = [{"check": what, "ok": well, "detail": detail} for what, well, detail in checks]
        echo_json(checks=rows)
    else:
        wide = max(len(what) for what, _, _ in checks)
        for what, well, detail in checks:
            sign = click.style("ok", fg="green") if well else click.style("NO", fg="red")
            click.echo(f"{sign}  {what:<{wide}}  {detail}", color=settings.colour)
    return 0 if all(well for _, well, _ in checks) else FAILED
