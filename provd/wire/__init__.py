"""Protocol logic without sockets."""
