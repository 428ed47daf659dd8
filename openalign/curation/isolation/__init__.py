"""What a stranger's record may do to a run: nothing. Errors become problem lines, time is limited, workers end."""
