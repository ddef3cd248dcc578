// The library below openid-client, by itself: what the program for Node in docs/clients.md does, with the same output.
import * as oauth from "oauth4webapi";

const issuer = new URL("http://localhost:8080");
const audience = "https://api.example.com";
const plainHTTP = { [oauth.allowInsecureRequests]: true };

const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, plainHTTP));

const billing = { client_id: "billing" };
const billingAuth = oauth.ClientSecretBasic(process.env.MINTKEEP_CLIENT_SECRET);
const orders = { client_id: "orders" };
const ordersAuth = oauth.ClientSecretBasic(process.env.ORDERS_SECRET);

const answer = await oauth.clientCredentialsGrantRequest(as, billing, billingAuth, { scope: "read" }, plainHTTP);
const { access_token: token } = await oauth.processClientCredentialsResponse(as, billing, answer);

async function introspect() {
  const answer = await oauth.introspectionRequest(as, orders, ordersAuth, token, plainHTTP);
  return oauth.processIntrospectionResponse(as, orders, answer);
}

let claims = await introspect();
if (!claims.active || claims.aud !== audience || claims.scope !== "read") throw new Error(JSON.stringify(claims));
console.log("introspected:", claims.client_id, "may read");

const request = new Request(audience, { headers: { authorization: `Bearer ${token}` } });
claims = await oauth.validateJwtAccessToken(as, request, audience, { ...plainHTTP, signingAlgorithms: ["ES256"] });
if (claims.scope !== "read") throw new Error(JSON.stringify(claims));
console.log("verified offline:", claims.client_id, "may read");

await oauth.processRevocationResponse(await oauth.revocationRequest(as, billing, billingAuth, token, plainHTTP));
if (!(await introspect()).active) console.log("revoked: the token is not active");
