"""What an administrator wants to know of custom templates: which there are, whether they work, what they change."""
