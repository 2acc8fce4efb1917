"""Processes: start, watch and end them; who they are."""
