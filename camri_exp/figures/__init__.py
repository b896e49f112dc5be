"""Numbers to pictures, one function a figure; each returns a matplotlib ``Figure`` and needs no display."""
