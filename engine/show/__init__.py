"""The show: every room put together. `live.py` plays it, `film.py` renders it frame by frame."""
