"""What the commands print: tables, JSON, and small pictures."""
