"""Recordings of real programs, and what tmux made of them."""
