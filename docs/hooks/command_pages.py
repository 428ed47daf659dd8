"""The page of all commands, from the command line itself."""

import inspect
from collections.abc import Iterator

import typer
from tables import row, wrapped
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from openalign.commands.cli import app


def commands_page() -> str:
    """Markdown: each command's usage, text, arguments and options."""
    group = typer.main.get_command(app)
    lines = [
        "# Commands",
        "",
        wrapped(
            "What `openalign COMMAND --help` prints, on one page. Exit status: 0 done; 1 it could not be done, and one "
            "message on standard error says why; 2 a mistyped option, choice or setting; 130 stopped by Ctrl-C."
        ),
        "",
    ]
    assert isinstance(group, TyperGroup), "the command line is a group of commands"
    context = typer.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, TyperCommand) and not command.hidden:
            lines.extend(_command(name, command))
    return "\n".join(lines) + "\n"


def _command(name: str, command: TyperCommand) -> Iterator[str]:
    context = typer.Context(command, info_name=f"openalign {name}")
    yield from (f"## {name}", "", "```text", " ".join(context.get_usage().replace("Usage: ", "").split()), "```", "")
    yield from (inspect.cleandoc(command.help or "").replace("```\nopenalign", "```sh\nopenalign"), "")
    shown = [each for each in command.params if isinstance(each, TyperArgument | TyperOption) and each.name != "help"]
    if shown:
        yield from ("| argument or option | meaning | default |", "|---|---|---|")
        yield from map(_row, shown)
        yield ""


def _row(parameter: TyperArgument | TyperOption) -> str:
    default = parameter.default
    metavar = parameter.metavar or ("N" if isinstance(default, int) else "TEXT")
    written = metavar
    if isinstance(parameter, TyperOption):
        names = " / ".join([*parameter.opts, *parameter.secondary_opts])
        written = names if parameter.is_flag else f"{names} {metavar}"
    shown = "" if default in (None, False, (), []) or callable(default) else f"`{default}`"
    return row(f"`{written}`", " ".join((parameter.help or "").split()), "required" if parameter.required else shown)
