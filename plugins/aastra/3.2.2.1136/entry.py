"""Aastra 6700i and 9000i phones with firmware 3.2.2.1136."""

from .common import BaseAastraPlugin


class AastraPlugin(BaseAastraPlugin):
    """What all versions share is all that this one needs."""

    IS_PLUGIN = True
