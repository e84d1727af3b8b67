// An OpenID provider that asks for PKCE, on loopback: node provider.mjs FOLDER_OF_NODE_MODULES PORT
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [folder, port] = process.argv.slice(2);
const found = createRequire(`${folder}/`).resolve('oidc-provider');
const { Provider } = await import(pathToFileURL(found));

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{ client_id: 'pco', client_secret: 'secret', redirect_uris: ['http://127.0.0.1/oauth2callback'] }],
  pkce: { required: () => true },
  conformIdTokenClaims: false,
  claims: { openid: ['sub'], profile: ['roles'], email: ['email'] },
  findAccount: (ctx, sub) => ({ accountId: sub, claims: () => ({ sub, roles: [`gives-${sub}`] }) }),
  cookies: { keys: ['a key of a test'] },
});
provider.Client.prototype.redirectUriAllowed = (uri) => /^http:\/\/127\.0\.0\.1:\d+\/oauth2callback$/.test(uri);
const say = (what) => (ctx) => console.log(JSON.stringify({ what, ...ctx.oidc.params }));
provider.on('authorization.success', say('authorization'));
provider.on('grant.success', say('grant'));
provider.on('authorization.error', (ctx, error) => console.log(JSON.stringify({ what: 'refused', why: error.error_description })));
provider.listen(Number(port), '127.0.0.1');
