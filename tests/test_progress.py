"""Standard error: messages, silent in other people's programs and shown by the command line; bars."""

import io
import logging
import subprocess
import sys

import pytest

from openalign import progress
from openalign.progress import bar, console, display, list_problems, log, say, shown_messages, silenced, track

AS_A_LIBRARY = "from openalign.progress import log, say; log.warning('a warning'); say('a message')"
WITH_LOGGING = f"import logging; logging.basicConfig(level=logging.INFO, format='mine: %(message)s'); {AS_A_LIBRARY}"


def errors_of(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr


def test_messages_are_silent_in_a_program_that_does_not_configure_logging() -> None:
    assert errors_of(AS_A_LIBRARY) == ""


def test_messages_go_where_the_program_sends_them() -> None:
    assert errors_of(WITH_LOGGING) == "mine: a warning\nmine: a message\n"


def test_a_message_is_printed_once_and_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    path = "/photos/[bold]:x: :smile:" + "x" * 200
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


def test_the_first_problems_are_listed_and_the_others_counted(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_messages():
        list_problems([f"row {i}" for i in range(7)])
    assert capsys.readouterr().err.splitlines() == [*(f"Left out: row {i}" for i in range(5)), "... and 2 more."]
    with shown_messages():
        list_problems(["row 0"], 1_001)
    assert capsys.readouterr().err.splitlines() == ["Left out: row 0", "... and 996 more."]
    with shown_messages():
        list_problems([])
    assert capsys.readouterr().err == ""


def test_a_stream_that_fails_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stderr", Full())
    with shown_messages():
        say("a message")


def test_the_console_follows_a_replaced_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    replaced = io.StringIO()
    monkeypatch.setattr(sys, "stderr", replaced)
    with shown_messages():
        say("a message")
    assert replaced.getvalue() == "a message\n"
    assert console.file.encoding == replaced.encoding


def test_stages_share_one_display_and_nested_bars_go_when_they_are_done() -> None:
    with bar("outer", 2) as outer, display() as shown:
        outer.note("half")
        with bar("inner", 3) as inner:
            inner.advance(3)
            assert [task.description for task in shown.tasks] == ["outer", "inner"]
        assert [task.description for task in shown.tasks] == ["outer"]
        outer.advance(2)
        assert shown.tasks[0].finished and shown.tasks[0].fields["note"] == "half"
    assert progress._live is None


def test_tracked_items_come_through_and_are_counted() -> None:
    with display() as shown:
        assert list(track([1, 2, 3], "items")) == [1, 2, 3]
        assert (shown.tasks[0].completed, shown.tasks[0].total) == (3, 3)
        assert list(track(iter("ab"), "letters", total=2)) == ["a", "b"]
