"""The security log: what fail2ban and people read to see who harvests files or makes phones up."""
