"""Firmware packages: what a plugin's `pkgs/` says can be downloaded, unpacked and put below its `var/tftpboot`.

`manager.PackageManager` is the way in. Everything here runs in a native thread of its own, while phones are served.
"""
