"""The language: text in; syntax, diagnostics, a plan, values out. It knows no host, no socket."""

VERSION = "0.1.0"  # of the distribution
