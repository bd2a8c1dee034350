"""Texts about the language that only `troth doc` reads: tables beside this file, one a kind of thing."""
