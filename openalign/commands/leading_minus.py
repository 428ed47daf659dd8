"""A query may begin with a minus, as options do: `openalign search photos.index "- people"`."""

import re
from typing import Any

from openalign.commands.exit_status import Command

_SIGN = re.compile(r"-\s")
_ONE_DASH = re.compile(r"-[^-\s]")


class QueryCommand(Command):
    """Takes an argument that begins with a minus and a blank as a query: no option has a blank in its name.

    A minus that touches a word is no sign in a query, so it is an unknown option, and the message says what to write.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See `Command.parse_args`."""
        options = {name: param for param in self.get_params(ctx) for name in param.opts if name.startswith("-")}
        valued = {name for name, param in options.items() if not getattr(param, "is_flag", False)}
        given, is_value = list(args), False
        for number, arg in enumerate(args):
            if is_value:
                is_value = False
            elif arg == "--":
                break
            elif _SIGN.match(arg):
                given[number] = f" {arg}"  # queries may begin with a blank, and options do not
            elif _ONE_DASH.match(arg) and arg not in options:
                ctx.fail(_unknown(arg, options))
            else:
                is_value = arg in valued
        return super().parse_args(ctx, given)


def _unknown(arg: str, options: Any) -> str:
    name = arg.partition("=")[0]
    if f"-{name}" in options:
        return f"No such option: {name} (it is written -{name})"
    return f'No such option: {arg}. To take something away, write "- {arg[1:]}"; a text with a - follows --.'
