"""Secrets for `@secrets(sources=["keyfob.NAME"])`."""

import re

from metaflow.plugins.secrets import SecretsProvider

from metaflow_extensions.keyfob import private_names, program, remote
from metaflow_extensions.keyfob.errors import KeyfobException

_VARIABLE = re.compile("[a-zA-Z_][a-zA-Z0-9_]*")


class KeyfobSecretsProvider(SecretsProvider):
    """The values of a `[secret.*]` entry: of the keychain, or of AWS Secrets Manager behind a role."""

    TYPE = "keyfob"

    def get_secret_as_dict(self, secret_id, options={}, role=None):
        """The variables of a secret. `role`, an ARN, is assumed by Keyfob where the entry is behind AWS."""
        if remote.platform():
            raise KeyfobException(
                "`keyfob.%s` is kept where you work, and this task runs on %s; have the secret in AWS Secrets Manager, and let the "
                "task read it there" % (secret_id, remote.platform()),
                'Next: @secrets(sources=["aws-secrets-manager.%s"], role="arn:aws:iam::…:role/…")' % secret_id,
            )
        if options:
            raise KeyfobException(
                "`keyfob.%s` has options (%s), and there are none; the entry in Keyfob's configuration says all of it"
                % (secret_id, ", ".join(sorted(str(name) for name in options))),
                "Run: keyfob secret list",
            )
        if not secret_id or secret_id.startswith("-"):
            raise KeyfobException("`keyfob.%s` names no secret" % secret_id, "Run: keyfob secret list")
        arguments = ["secret", "get", secret_id, "--json"]
        # What Outerbounds says where nobody has named a role.
        if role and role != private_names.CUSTOMER_ROLE:
            arguments += program.option("role-arn", role)
        values = program.ask(arguments)
        problem = _problem_with(values)
        if problem:
            raise KeyfobException(
                "the secret `%s` cannot be put into an environment: %s" % (secret_id, problem),
                "Run: keyfob secret list",
            )
        return values.expose()


def _problem_with(values):
    """What Metaflow or the system would refuse, by name alone; None where there is nothing. Raises nothing."""
    for name, value in values.expose().items():
        if not _VARIABLE.fullmatch(name):
            return "`%s` is no name for a variable" % ascii(name)[1:-1]
        if name.startswith("METAFLOW_"):
            return "`%s` is a name that Metaflow keeps for itself" % name
        if not isinstance(value, str):
            return "the value of `%s` is no text" % name
        if "\0" in value:
            return "the value of `%s` has a NUL in it" % name
        if any("\ud800" <= character <= "\udfff" for character in value):
            return "the value of `%s` is no valid text" % name
    return None
