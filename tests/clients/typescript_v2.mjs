// Lists the tools and reads a file with the TypeScript SDK 2.x: node typescript_v2.mjs NODE_MODULES MODE URL
// MODE is that of its version negotiation; its default would be `legacy`, which never leaves the session era.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [modules, mode, url] = process.argv.slice(2);
const require = createRequire(`${modules}/x.js`);
const { Client, StreamableHTTPClientTransport } = await import(pathToFileURL(require.resolve("@modelcontextprotocol/client")));

const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode } });
await client.connect(new StreamableHTTPClientTransport(new URL(url)));
const { tools } = await client.listTools();
console.log(tools.map((tool) => tool.name).join("\n"));
const result = await client.callTool({ name: "filesystem_read_text_file", arguments: { path: "hello.txt" } });
console.log(result.content[0].text);
await client.close();
