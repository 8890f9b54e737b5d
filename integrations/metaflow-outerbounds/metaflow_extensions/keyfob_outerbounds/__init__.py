"""Keyfob in the place of Outerbounds' own AWS provider. All else is in `metaflow_extensions.keyfob`."""
