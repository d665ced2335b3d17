"""The conformance kit: what every official plugin must pass. See README.md beside this file."""
