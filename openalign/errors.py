"""The one exception a user is meant to read."""


class OpenAlignError(Exception):
    """Something the user can mend: one sentence that says what was wrong, where (file, row, field) and what to do.

    The command line prints it on standard error and exits with status 1; anything else that escapes is a bug.
    """
