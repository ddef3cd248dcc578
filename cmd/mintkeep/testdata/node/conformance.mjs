// Runs the conformance suite of MCP under the versions of Node that the other programs need. It is written for Node 22: it
// imports fs.globSync, for a command that is not run here, and one of its libraries expects the global File.
import { File } from "node:buffer";
import { register } from "node:module";

globalThis.File ??= File;

const fs = `export * from "node:fs"; export { default } from "node:fs"; export function globSync() { throw new Error("not here"); }`;
const hook = `
const fs = ${JSON.stringify("data:text/javascript," + encodeURIComponent(fs))};
export async function resolve(specifier, context, next) {
  const suite = context.parentURL?.includes("/@modelcontextprotocol/conformance/");
  return suite && specifier === "fs" ? { url: fs, shortCircuit: true } : next(specifier, context);
}`;
register("data:text/javascript," + encodeURIComponent(hook));

await import("@modelcontextprotocol/conformance/dist/index.js");
