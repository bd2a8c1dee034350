"""The language: text in; syntax, diagnostics, a plan and values out. It knows no host, no socket."""
