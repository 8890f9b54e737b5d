"""What is raised where Keyfob has no answer.

A message is a sentence and, as its last line, the command that mends it. No message has a value in it, and none of these
is raised while another exception is handled: what that one carries would be shown along.
"""

from metaflow.exception import MetaflowException, MetaflowInternalError


class KeyfobException(MetaflowException):
    """Keyfob refused, or could not be asked."""

    headline = "Keyfob"

    def __init__(self, sentence, next_step=None):
        whole = sentence.rstrip(".") + "."
        super().__init__("%s\n%s" % (whole, next_step) if next_step else whole)
        # What a copy in another process is made of.
        self.args = (sentence, next_step)


class KeyfobServiceKeyException(KeyfobException, MetaflowInternalError):
    """There is no key for the metadata service. Metaflow repeats a request that fails, but not after this one."""

    headline = "Keyfob"
