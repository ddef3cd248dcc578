// An MCP client whose tokens are those of mintkeep token. The conformance suite of MCP runs it with the URL of an MCP server
// as its last argument, and with the client's credentials in MCP_CONFORMANCE_CONTEXT.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";

const server = process.argv.at(-1);
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT);

const initialize = (authorization) =>
  fetch(server, {
    method: "POST",
    headers: { ...authorization, "Content-Type": "application/json", Accept: "application/json, text/event-stream" },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "initialize",
      params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "mintkeep", version: "1" } },
    }),
  });
const json = async (url) => (await fetch(url)).json();

// The MCP server names its metadata, and these its authorization server (RFC 9728 §5).
const challenge = (await initialize({})).headers.get("WWW-Authenticate");
const { resource, authorization_servers } = await json(challenge.match(/resource_metadata="([^"]+)"/)[1]);
const issuer = authorization_servers[0];
const { token_endpoint } = await json(new URL("/.well-known/oauth-authorization-server", issuer));

// Mintkeep's token endpoint is /oauth/token, and the suite's is elsewhere: this takes the request there.
const relay = createServer(async (request, response) => {
  const { authorization, "content-type": type } = request.headers;
  const answer = await fetch(request.url === "/oauth/token" ? token_endpoint : new URL(request.url, issuer), {
    method: request.method,
    headers: { ...(authorization && { authorization }), ...(type && { "content-type": type }) },
    body: request.method === "POST" ? await text(request) : undefined,
  });
  response.writeHead(answer.status, { "content-type": "application/json" }).end(await answer.text());
});
await new Promise((listening) => relay.listen(0, "127.0.0.1", listening));

const folder = mkdtempSync(join(tmpdir(), "mcp-client-"));
try {
  const env = { PATH: process.env.PATH, MINTKEEP_URL: `http://127.0.0.1:${relay.address().port}`, MINTKEEP_CLIENT_ID: context.client_id };
  if (context.private_key_pem) {
    env.MINTKEEP_CLIENT_KEY_FILE = join(folder, "key.pem");
    writeFileSync(env.MINTKEEP_CLIENT_KEY_FILE, context.private_key_pem, { mode: 0o600 });
  } else {
    env.MINTKEEP_CLIENT_SECRET = context.client_secret;
  }
  const { stdout } = await promisify(execFile)("mintkeep", ["token", "--resource", resource], { env });
  const answer = await initialize({ Authorization: `Bearer ${stdout.trimEnd()}` });
  if (!answer.ok) throw new Error(`the MCP server answers ${answer.status}`);
} finally {
  relay.close();
  rmSync(folder, { recursive: true });
}
