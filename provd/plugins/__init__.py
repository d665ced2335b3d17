"""The plugin host: everything about plugins but the plugins themselves."""
