"""Answers and signals peers: shares granted classes, variables and files."""
