"""What an ensemble gained: its tables, pictures and page."""
