"""Recordings beside what the server shows: listed, opened, controlled, and their timeline."""
