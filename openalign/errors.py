"""The exceptions whose messages are meant for the user."""


class OpenAlignError(Exception):
    """An error that the user can fix; the message says what is wrong, where (file, row, field) and what to do.

    The command line prints it on standard error and exits with status 1. Any other exception that escapes is a bug.
    """


class UsageError(OpenAlignError):
    """An option, choice or setting that is wrong whatever the files hold; the command line exits with status 2."""


class ReportedElsewhere(OpenAlignError):
    """Another process of the run reports the error; the command line prints nothing and exits with status 1."""
