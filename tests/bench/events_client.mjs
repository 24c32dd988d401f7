// The baseline: socket.io-client receives N events and prints each as a line of JSON.
//   node events_client.mjs PORT N
import { createRequire } from "node:module";

const { io } = createRequire(new URL("../peer/package.json", import.meta.url))("socket.io-client");
const [port, total] = process.argv.slice(2).map(Number);
const socket = io(`http://127.0.0.1:${port}`, { path: "/zip/events/", transports: ["websocket"] });
let n = 0;
socket.on("connect", () => socket.emit("auth", { type: "auth", workflowId: `flood-${total}` }));
socket.on("zip.event", (event) => {
	process.stdout.write(JSON.stringify(event) + "\n");
	if (++n === total) socket.disconnect();
});
