// Lists the tools and reads a file with the TypeScript SDK 1.x: node typescript_v1.mjs NODE_MODULES URL
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [modules, url] = process.argv.slice(2);
const require = createRequire(`${modules}/x.js`);
const load = (name) => import(pathToFileURL(require.resolve(name)));
const { Client } = await load("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = await load("@modelcontextprotocol/sdk/client/streamableHttp.js");

const client = new Client({ name: "test", version: "1" });
await client.connect(new StreamableHTTPClientTransport(new URL(url)));
const { tools } = await client.listTools();
console.log(tools.map((tool) => tool.name).join("\n"));
const result = await client.callTool({ name: "filesystem_read_text_file", arguments: { path: "hello.txt" } });
console.log(result.content[0].text);
await client.close();
