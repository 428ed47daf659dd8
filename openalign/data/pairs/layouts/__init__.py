"""The layouts of data that can be read: one module for each, and the table of all of them in `registry`."""
