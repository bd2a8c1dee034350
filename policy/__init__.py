"""The language: text in; syntax, diagnostics, a plan, values out. It knows no host, no socket."""
