"""boto3 as a test's client: python aws_sdk.py ENDPOINT.

Takes and gives lines as tests/e2e/src/real/aws_sdk.rs says.
"""

import functools
import json
import sys

import boto3


@functools.cache
def session():
    return boto3.Session()


@functools.cache
def client(name):
    return session().client(name, endpoint_url=sys.argv[1])


def renew():
    session.cache_clear()
    client.cache_clear()
    return {}


def keys():
    credentials = session().get_credentials()
    frozen = credentials.get_frozen_credentials()
    end = getattr(credentials, '_expiry_time', None)
    return {
        'AccessKeyId': frozen.access_key,
        'SecretAccessKey': frozen.secret_key,
        'SessionToken': frozen.token,
        'AccountId': frozen.account_id,
        'Expiration': end and int(end.timestamp()),
    }


def identity():
    return {'Arn': client('sts').get_caller_identity()['Arn']}


def identities():
    return {'Arns': sorted({identity()['Arn'] for _ in range(10)})}


def buckets():
    place = {'LocationConstraint': session().region_name}
    client('s3').create_bucket(Bucket='keyfob-boto3', CreateBucketConfiguration=place)
    return {'Buckets': [bucket['Name'] for bucket in client('s3').list_buckets()['Buckets']]}


VERBS = {verb.__name__: verb for verb in (renew, keys, identity, identities, buckets)}
for line in sys.stdin:
    try:
        answer = VERBS[line.strip()]()
    except Exception as error:
        answer = {'error': f'{type(error).__name__}: {error}'}
    print(json.dumps(answer), flush=True)
