"""Keyfob for Metaflow: AWS credentials, secrets and the service key come from the `keyfob` program.

Metaflow loads this package with the first of its extension points, and before that of Outerbounds, whose configuration
must be in place by then.
"""

from . import outerbounds

outerbounds.resolve()
