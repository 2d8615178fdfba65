"""Every room put together: `live.py` plays a show, `film.py` renders one frame by frame."""
