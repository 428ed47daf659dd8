"""Messages and bars on standard error."""

import io
import sys

import pytest

from openalign import progress
from openalign.progress import bar, console, display, list_problems, say, track


def test_a_message_is_printed_whole_and_without_markup(capsys: pytest.CaptureFixture[str]) -> None:
    message = f"[red]{'a/' * 200}x.jpg[/red] cannot be read"
    say(message)
    printed = capsys.readouterr()
    assert printed.err == f"{message}\n" and printed.out == ""


def test_the_first_problems_are_listed_and_the_others_counted(capsys: pytest.CaptureFixture[str]) -> None:
    list_problems([f"row {i}" for i in range(7)])
    assert capsys.readouterr().err.splitlines() == [*(f"Left out: row {i}" for i in range(5)), "... and 2 more."]
    list_problems(["row 0"], 1_001)
    assert capsys.readouterr().err.splitlines() == ["Left out: row 0", "... and 996 more."]
    list_problems([])
    assert capsys.readouterr().err == ""


def test_a_stream_that_fails_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stderr", Full())
    say("a message")


def test_the_console_follows_a_replaced_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    replaced = io.StringIO()
    monkeypatch.setattr(sys, "stderr", replaced)
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
