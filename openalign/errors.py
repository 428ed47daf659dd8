"""The exceptions that a user is meant to read."""


class OpenAlignError(Exception):
    """Something the user can fix: one message that says what was wrong, where (file, row, field) and what to do.

    The command line prints it on standard error and exits with status 1; any other exception that escapes is a bug.
    """


class UsageError(OpenAlignError):
    """An option, choice or setting that is wrong whatever the files hold; the command line exits with status 2."""
