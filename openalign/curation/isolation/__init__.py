"""Protects a run from bad records: exceptions become error messages, time is limited, worker processes end."""
