"""Aastra 6700i and 9000i phones with firmware 3.3.1 SP2."""

from .common import BaseAastraPlugin


class AastraPlugin(BaseAastraPlugin):
    """What all versions share is all that this one needs."""

    IS_PLUGIN = True
