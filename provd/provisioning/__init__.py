"""The verbs: what can be done with devices and configs, and what happens when a phone asks."""
