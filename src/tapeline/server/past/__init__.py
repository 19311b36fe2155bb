"""The past without end: memory and lake put together, and what is asked of both."""
