"""Tests of spec/network.md §3.8: the same functions, short in CI and full by `make torture`."""
