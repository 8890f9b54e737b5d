// JupyterHub's own proxy, npm configurable-http-proxy, on a loopback port that the system chooses; its own program cannot
// do without a port that is known before.
//
//   CONFIGPROXY_AUTH_TOKEN=... node jupyterhub-proxy.mjs
//
// The first and only line on standard output is {"url": URL}. The hub tells it where to send requests through the socket
// `proxy.sock` in the working folder. The process runs until it is killed.

import { once } from 'node:events';

import ConfigurableProxy from 'configurable-http-proxy';

const quiet = () => {};
const proxy = new ConfigurableProxy({
  authToken: process.env.CONFIGPROXY_AUTH_TOKEN,
  log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
});
await once(proxy.apiServer.listen('proxy.sock'), 'listening');
await once(proxy.proxyServer.listen(0, '127.0.0.1'), 'listening');
console.log(JSON.stringify({ url: `http://127.0.0.1:${proxy.proxyServer.address().port}` }));
