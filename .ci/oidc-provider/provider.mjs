// An OpenID provider for the tests of the rotation function, with client configuration management (RFC 7592):
//   node provider.mjs [--rotates-secret] [--rotates-token]
// It listens on a free loopback port, registers one client with itself, prints that client's registration as a
// line of JSON, and ends with its standard input.
//
// The provider itself keeps a client's secret on update, as the RFC allows. With --rotates-secret an update makes
// a new one, as some providers do; with --rotates-token it brings a new registration access token.
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import { Provider } from 'oidc-provider';

const rotatesSecret = process.argv.includes('--rotates-secret');
const rotatesToken = process.argv.includes('--rotates-token');

const store = new Map();
class Adapter {
  constructor(model) { this.model = model; }
  key(id) { return `${this.model}:${id}`; }
  async upsert(id, payload) { store.set(this.key(id), structuredClone(payload)); }
  async find(id) { return structuredClone(store.get(this.key(id))); }
  async destroy(id) { store.delete(this.key(id)); }
  async consume(id) { store.get(this.key(id)).consumed = Math.floor(Date.now() / 1000); }
  async findByUid() { return undefined; }
  async findByUserCode() { return undefined; }
  async revokeByGrantId() {}
}

const server = http.createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const origin = `http://127.0.0.1:${server.address().port}`;
const provider = new Provider(origin, {
  adapter: Adapter,
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    registration: { enabled: true },
    registrationManagement: { enabled: true, rotateRegistrationAccessToken: rotatesToken },
  },
});
provider.use(async (ctx, next) => {
  await next();
  if (rotatesSecret && ctx.method === 'PUT' && ctx.path.startsWith('/reg/') && ctx.status === 200) {
    const client = store.get(`Client:${ctx.body.client_id}`);
    client.client_secret = randomBytes(48).toString('base64url');
    ctx.body = { ...ctx.body, client_secret: client.client_secret };
  }
});
server.on('request', provider.callback());

const registered = await fetch(`${origin}/reg`, {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({
    client_name: 'app', grant_types: ['client_credentials'], response_types: [], redirect_uris: [],
    token_endpoint_auth_method: 'client_secret_basic',
  }),
});
const client = await registered.json();
if (registered.status !== 201) {
  console.error(client);
  process.exit(1);
}
console.log(JSON.stringify({ origin, ...client }));
process.stdin.resume().on('end', () => process.exit(0));
