// Passes the commands of the conformance suite to the transport on a platform:
//   node bridge.mjs node FOLDER
//   node bridge.mjs chromium FOLDER PROGRAM FOLDER_OF_PLAYWRIGHT
//   node bridge.mjs workerd FOLDER PROGRAM
// The first folder contains the built transport.

import { spawn } from "node:child_process";
import { copyFileSync, readFileSync } from "node:fs";
import { request } from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [platform, folder, program, driver] = process.argv.slice(2);
const library = "fetch_hive_example_fetch";
const emit = (event) => process.stdout.write(event + "\n");

async function node() {
  const { default: init, execute } = await import(pathToFileURL(path.join(folder, `${library}.js`)));
  await init({ module_or_path: readFileSync(path.join(folder, `${library}_bg.wasm`)) });
  emit('{"ready":true}');
  for await (const command of createInterface({ input: process.stdin })) execute(command, emit);
}

async function chromium() {
  const { chromium } = createRequire(path.join(driver, "package.json"))("playwright-core");
  // The server of the suite sends no CORS headers.
  const browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox", "--disable-web-security"] });
  const page = await browser.newPage();
  const types = { ".js": "text/javascript", ".wasm": "application/wasm" };
  await page.route("http://127.0.0.1:1/**", (route) => {
    const file = new URL(route.request().url()).pathname;
    if (file === "/") return route.fulfill({ contentType: "text/html", body: "" });
    return route.fulfill({ contentType: types[path.extname(file)], body: readFileSync(path.join(folder, file)) });
  });
  await page.goto("http://127.0.0.1:1/");
  await page.exposeFunction("emit", emit);
  await page.evaluate(async (module) => {
    window.bridge = await import(module);
    await window.bridge.default();
  }, `/${library}.js`);
  emit('{"ready":true}');
  for await (const command of createInterface({ input: process.stdin })) {
    await page.evaluate((command) => window.bridge.execute(command, window.emit), command);
  }
  await browser.close();
}

async function workerd() {
  for (const file of ["worker.mjs", "worker.capnp"]) copyFileSync(new URL(file, import.meta.url), path.join(folder, file));
  const server = spawn(program, ["serve", "--control-fd=3", path.join(folder, "worker.capnp")], {
    stdio: ["ignore", "ignore", "inherit", "pipe"],
  });
  process.on("exit", () => server.kill());
  for await (const line of createInterface({ input: server.stdio[3] })) {
    const { port } = JSON.parse(line);
    // One request carries all commands, and its response carries all events.
    const all = request({ port, host: "127.0.0.1", method: "POST" }, (response) => response.pipe(process.stdout));
    process.stdin.pipe(all);
    all.flushHeaders();
    await new Promise((ended) => all.on("close", ended));
    break;
  }
}

process.stdin.on("end", () => setTimeout(() => process.exit(), 3000));
await { node, chromium, workerd }[platform]();
process.exit();
