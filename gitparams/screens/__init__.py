"""Screens: what people and other programs read of runs, as text; a module here returns text and prints nothing."""
