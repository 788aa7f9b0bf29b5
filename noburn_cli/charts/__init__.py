"""Curves and bars: one description, drawn in a terminal, as a picture, or in a page."""
