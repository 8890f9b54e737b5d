"""boto3 sessions whose credentials come from `keyfob credential-process`, and again whenever they are near their end."""

import datetime
import os
import threading

from . import program, settings
from .errors import KeyfobException

# For keys that have no end (seconds): they are asked for again by then.
_UNLIMITED = 3600
# What Metaflow gives S3 clients; releases before 2.12 have no name for it.
_S3_RETRIES = {"max_attempts": 10, "mode": "adaptive"}

_lock = threading.Lock()
_credentials = {}
# By entry, what the service chose; None where it said nothing.
_regions = {}
_region_lock = threading.Lock()


def client(arguments, module, with_error, session_vars, client_params):
    """A client, or a client and the error that it raises, as Metaflow's own provider gives them.

    `arguments` follow `keyfob credential-process`.
    """
    try:
        import boto3
        import botocore.session
        from botocore.exceptions import ClientError
    except ImportError:
        boto3 = None
    if boto3 is None:
        raise KeyfobException("the Python package boto3 is not installed", "Run: pip install boto3")
    parameters = _with_config(module, client_params)
    session = botocore.session.Session(session_vars=session_vars or {})
    # Whatever keys the environment has, these are meant.
    session._credentials = credentials(arguments)
    if not parameters.get("region_name") and not session.get_config_variable("region"):
        region = settings.get(settings.REGION) or _chosen_region(arguments)
        if region:
            session.set_config_variable("region", region)
    made = boto3.session.Session(botocore_session=session).client(module, **parameters)
    return (made, ClientError) if with_error else made


def credentials(arguments):
    """Credentials that renew themselves, shared by all clients of this process: they are safe among threads."""
    from botocore.credentials import DeferredRefreshableCredentials

    key = tuple(arguments)
    with _lock:
        if key not in _credentials:
            _credentials[key] = DeferredRefreshableCredentials(
                refresh_using=lambda: _fetch(list(key)), method="keyfob"
            )
        return _credentials[key]


def entry():
    """The `[aws.*]` entry that is set up."""
    name = settings.get(settings.AWS)
    if name is None or name.startswith("-"):
        raise KeyfobException(
            "no entry is set up for AWS (%s)" % settings.AWS, "Run: keyfob setup metaflow"
        )
    return name


def _chosen_region(arguments):
    """The region of an entry by the word of whoever gave its keys, asked once. None is no error: boto3 says what it lacks.

    It is not handed to child processes: their entry may be another one.
    """
    name = arguments[0]
    with _region_lock:
        if name not in _regions:
            # Nobody has chosen one before there are keys.
            credentials(arguments).get_frozen_credentials()
            try:
                answer = program.ask(["why", name, "--json"])
            except KeyfobException:
                return None
            _regions[name] = _region_of(answer.expose())
        return _regions[name]


def _region_of(answer):
    entry = answer.get("entry")
    facts = entry.get("facts") if isinstance(entry, dict) else None
    region = facts.get("region") if isinstance(facts, dict) else None
    return region if isinstance(region, str) and region else None


def _fetch(arguments):
    answer = program.ask(["credential-process"] + arguments)
    keys = _keys_of(answer)
    if keys is None:
        raise KeyfobException(
            "the answer of `keyfob credential-process` has no keys in it", program.NEWER
        )
    return keys


def _keys_of(answer):
    """What botocore wants of them, or None. Raises nothing: the frame holds keys."""
    content = answer.expose()
    wanted = [content.get(name) for name in ("AccessKeyId", "SecretAccessKey")]
    if not all(isinstance(value, str) and value for value in wanted):
        return None
    end = content.get("Expiration") or _in_seconds(_UNLIMITED)
    if not isinstance(end, str):
        return None
    return {
        "access_key": wanted[0],
        "secret_key": wanted[1],
        "token": content.get("SessionToken"),
        "expiry_time": end,
    }


def _in_seconds(seconds):
    now = datetime.datetime.now(datetime.timezone.utc)
    return (now + datetime.timedelta(seconds=seconds)).isoformat()


def _with_config(module, client_params):
    """The parameters with a botocore configuration, which Metaflow allows to be a dict. Those of the caller stay as they are."""
    from botocore.config import Config

    parameters = dict(client_params or {})
    config = parameters.get("config")
    if config is not None and not isinstance(config, Config):
        config = Config(**config)
    if module == "s3" and (config is None or config.retries is None):
        retries = Config(retries=dict(_s3_retries()))
        config = retries if config is None else config.merge(retries)
    if config is not None:
        parameters["config"] = config
    return parameters


def _s3_retries():
    from metaflow import metaflow_config

    return getattr(metaflow_config, "S3_CLIENT_RETRY_CONFIG", None) or _S3_RETRIES


def _begin_anew():
    # Another thread may have held a lock when this process was forked off.
    global _lock, _credentials, _region_lock, _regions
    _lock = threading.Lock()
    _credentials = {}
    _region_lock = threading.Lock()
    _regions = {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
