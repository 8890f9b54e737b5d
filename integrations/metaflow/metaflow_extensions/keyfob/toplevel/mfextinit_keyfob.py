"""Adds nothing. Metaflow loads this extension point first, and our package with it; so does Outerbounds with theirs."""
