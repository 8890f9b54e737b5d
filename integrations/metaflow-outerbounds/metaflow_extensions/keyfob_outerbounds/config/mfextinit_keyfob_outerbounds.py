"""Outerbounds' configuration puts its own provider in force whatever a person has set, so this one, loaded later, does too."""

import metaflow_extensions.keyfob.remote as keyfob_remote
import metaflow_extensions.keyfob.settings as keyfob_settings

# Where no entry is set up, or no agent can be, their provider stays.
if keyfob_settings.get(keyfob_settings.AWS) and not keyfob_remote.platform():
    DEFAULT_AWS_CLIENT_PROVIDER = "keyfob-outerbounds"
