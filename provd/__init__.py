"""provd, the phone provisioning server: it recognises a phone that boots and serves the files made for it."""

__version__ = "26.11"
