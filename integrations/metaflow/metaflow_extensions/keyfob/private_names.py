"""Names of Outerbounds' packages that their documentation does not promise, in this one place.

The tests of `metaflow-keyfob-outerbounds` hold them against the packages themselves.
"""

# The package of ob-metaflow-extensions.
EXTENSION = "metaflow_extensions.outerbounds"

# The variable that holds a whole configuration as JSON. Where it is set, no file is read and no service asked.
RESOLVED_CONFIGURATION = "__REMOTE_CONFIG_HAS_BEEN_RESOLVED__"

# Passed in the place of a role: the role of the customer's side where there is one, else that of the task.
CUSTOMER_ROLE = "__cspr__"

# The variable in which their decorator names the role of the customer's side.
ASSUMED_ROLE = "OBP_ASSUME_ROLE_ARN"

# The AWS provider that their configuration puts in force, whatever other configuration says.
PROVIDER = "obp"
