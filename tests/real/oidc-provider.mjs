// A real OpenID provider for one test: npm oidc-provider on a loopback port that the system chooses.
//
//   node oidc-provider.mjs ['{"ttl":{"AccessToken":60},"email":"ada@example.com"}']
//
// The first and only line on standard output is {"issuer": URL, "counts": URL}. GET on `counts` answers
// {"granted": {GRANT_TYPE: n}, "refused": {GRANT_TYPE: n}}: how often the token endpoint was called, by outcome.
// The process runs until it is killed; all of its state is in memory.
//
// Options, as JSON in the first argument or in KEYFOB_TEST_OIDC_OPTIONS:
//   ttl    lifetimes in seconds by the provider's own names: AccessToken, IdToken, RefreshToken, Session, Grant,
//          DeviceCode, AuthorizationCode
//   email  what the `email` claim says; without it ACCOUNT@example.com
//   jwt    true: access tokens are JWTs for the audience "keyfob-tests"

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

// The provider warns about its development pages on standard output, where only our line belongs.
console.info = console.warn = () => {};
const { default: Provider } = await import('oidc-provider');

const options = JSON.parse(process.argv[2] ?? process.env.KEYFOB_TEST_OIDC_OPTIONS ?? '{}');
const lifetimes = {
  AccessToken: 600,
  AuthorizationCode: 60,
  DeviceCode: 300,
  Grant: 86400,
  IdToken: 3600,
  Interaction: 600,
  RefreshToken: 86400,
  Session: 86400,
  ...options.ttl,
};

// The issuer is part of every answer, so the port must be known before the provider exists.
const server = createServer();
const issuer = await listen(server);
const counts = { granted: {}, refused: {} };
const countsServer = createServer((request, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(counts));
});
const countsAddress = await listen(countsServer);

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'keyfob',
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
    response_types: ['code'],
    // A native client's loopback address matches with any port (RFC 8252 section 7.3).
    redirect_uris: ['http://127.0.0.1/callback'],
  }],
  scopes: ['openid', 'offline_access', 'profile', 'email'],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  // AWS and the agent read who the person is from the ID token, as Okta and Entra put it there.
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  rotateRefreshToken: true,
  // Lifetimes are exact: the default would accept what ended up to 15 seconds ago.
  clockTolerance: 0,
  ttl: lifetimes,
  cookies: { keys: [randomBytes(32).toString('base64url')] },
  jwks: { keys: [signingKey()] },
  features: {
    devInteractions: { enabled: true },
    deviceFlow: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: Boolean(options.jwt),
      defaultResource: () => 'urn:keyfob:tests',
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'openid profile email offline_access',
        audience: 'keyfob-tests',
        accessTokenFormat: 'jwt',
        accessTokenTTL: lifetimes.AccessToken,
      }),
    },
  },
  findAccount: (context, accountId) => ({
    accountId,
    claims: () => ({
      sub: accountId,
      name: accountId,
      email: options.email ?? `${accountId}@example.com`,
      email_verified: true,
    }),
  }),
});

provider.use(async (context, next) => {
  await next();
  if (context.path !== '/token') return;
  const outcome = context.status === 200 ? counts.granted : counts.refused;
  const grantType = context.oidc?.params?.grant_type ?? 'unknown';
  outcome[grantType] = (outcome[grantType] ?? 0) + 1;
});

server.on('request', provider.callback());
process.stdout.write(`${JSON.stringify({ issuer, counts: `${countsAddress}/counts` })}\n`);

function listen(httpServer) {
  return new Promise((resolve, reject) => {
    httpServer.once('error', reject);
    httpServer.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${httpServer.address().port}`));
  });
}

function signingKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: 'tests', use: 'sig', alg: 'RS256' };
}
