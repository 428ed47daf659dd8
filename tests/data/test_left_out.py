"""Messages about what was left out are strings that know their kind and number."""

import pickle

from openalign.data.left_out import Kind, LeftOut, counted


def test_counts_by_kind_and_leaves_notes_alone() -> None:
    problems = [
        LeftOut(Kind.ROW_WITHOUT_TEXT, "15 rows have no text", 15),
        "a.csv is read as windows-1252",
        LeftOut(Kind.ROW_NOT_PARSED, "a.csv row 3"),
        LeftOut(Kind.ROW_NOT_PARSED, "a.csv row 9"),
    ]
    assert counted(problems) == {"rows without a text": 15, "rows that cannot be parsed": 2}


def test_is_a_string_and_survives_a_process_boundary() -> None:
    problem = LeftOut(Kind.FILE_MISSING, "part 3 is missing", 2)
    again = pickle.loads(pickle.dumps(problem))
    assert again == "part 3 is missing"
    assert (again.kind, again.number) == (Kind.FILE_MISSING, 2)
