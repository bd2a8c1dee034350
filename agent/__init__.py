"""Keeps one host to a plan: the only part of troth that touches the host."""
