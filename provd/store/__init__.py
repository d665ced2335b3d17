"""Durable collections of JSON documents, held in memory with indexes.

What is promised: a committed transaction is on disk, whole; nothing else is ever seen in memory. A document carries
a revision, and a change based on an older one is refused. Reads never touch the disk.
"""
