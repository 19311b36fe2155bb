"""The lake asked in processes of their own: the route, the pool, what is said through the pipe, and the process itself."""
