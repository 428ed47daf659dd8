"""Messages: silent in other people's programs, shown by the command line, and by the first of several processes."""

import logging
import subprocess
import sys

import pytest

from openalign.progress import bar, log, shown_messages, silenced

AS_A_LIBRARY = "from openalign.progress import log, say; log.warning('a warning'); say('a message')"
WITH_LOGGING = f"import logging; logging.basicConfig(level=logging.INFO, format='mine: %(message)s'); {AS_A_LIBRARY}"


def errors_of(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr


def test_messages_are_silent_in_a_program_that_does_not_configure_logging() -> None:
    assert errors_of(AS_A_LIBRARY) == ""


def test_messages_go_where_the_program_sends_them() -> None:
    assert errors_of(WITH_LOGGING) == "mine: a warning\nmine: a message\n"


def test_a_message_is_printed_once_and_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    path = "/photos/[bold]" + "x" * 200
    with shown_messages(), shown_messages():
        log.warning(path)
    assert capsys.readouterr().err == path + "\n"


def test_a_silenced_process_shows_neither_messages_nor_bars(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_messages():
        level = log.level
        with silenced(True), bar("train", 3) as running:
            running.advance()
            log.warning("not shown")
        assert (capsys.readouterr().err, log.level) == ("", level)
        with silenced(False), bar("train", 3):
            log.warning("shown")
    shown = capsys.readouterr().err
    assert "shown" in shown and "train" in shown


def test_the_level_of_the_logger_is_put_back() -> None:
    before = log.level
    with pytest.raises(ZeroDivisionError), shown_messages(), silenced(True):
        assert log.level == logging.CRITICAL
        raise ZeroDivisionError
    assert log.level == before
