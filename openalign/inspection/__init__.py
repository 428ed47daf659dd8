"""How a DATA argument would be read, told before an hour is spent on it."""
