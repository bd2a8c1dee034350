"""The protocol between hosts, used by both ends."""
