// The AWS SDK for JavaScript as a test's client: node aws-sdk.mjs ENDPOINT. Takes and gives lines as
// tests/e2e/src/real/aws_sdk.rs says.

import { createInterface } from 'node:readline';

import { CreateBucketCommand, ListBucketsCommand, S3Client } from '@aws-sdk/client-s3';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { fromProcess } from '@aws-sdk/credential-provider-process';

const endpoint = process.argv[2];
let sts;
let s3;

function renew() {
  sts = new STSClient({ endpoint });
  s3 = new S3Client({ endpoint, forcePathStyle: true });
}

const verbs = {
  async keys() {
    const keys = await sts.config.credentials();
    return {
      AccessKeyId: keys.accessKeyId,
      SecretAccessKey: keys.secretAccessKey,
      SessionToken: keys.sessionToken ?? null,
      AccountId: keys.accountId ?? null,
      Expiration: keys.expiration ? Math.floor(keys.expiration.getTime() / 1000) : null,
    };
  },
  async identity() {
    return { Arn: (await sts.send(new GetCallerIdentityCommand({}))).Arn };
  },
  async process() {
    await new STSClient({ endpoint, credentials: fromProcess() }).send(new GetCallerIdentityCommand({}));
    return {};
  },
  async identities() {
    const all = await Promise.all(Array.from({ length: 10 }, () => verbs.identity()));
    return { Arns: [...new Set(all.map((one) => one.Arn))] };
  },
  async buckets() {
    await s3.send(new CreateBucketCommand({ Bucket: 'keyfob-javascript' }));
    return { Buckets: (await s3.send(new ListBucketsCommand({}))).Buckets.map((bucket) => bucket.Name) };
  },
  async renew() {
    renew();
    return {};
  },
};

renew();
for await (const verb of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = await verbs[verb]();
  } catch (error) {
    answer = { error: `${error.name}: ${error.message}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
