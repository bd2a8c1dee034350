"""The built-in functions that look at the host, a module for each kind of thing there."""
