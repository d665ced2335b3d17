"""The doors for phones."""
