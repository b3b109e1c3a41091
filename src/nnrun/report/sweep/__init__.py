"""The answer of a sweep: its words, tables, pictures and page."""
