// Tests the page of the example in headless Chromium, and takes screenshots.

import { createRequire } from "node:module";
import net from "node:net";
import path from "node:path";

const [proxy, emulator, driver, browser, folder] = process.argv.slice(2);
const { chromium } = createRequire(path.join(driver, "package.json"))("playwright-core");

function check(name, passed, actual) {
  console.log(`   ${passed ? "ok" : "FAILED"}: ${name}${passed ? "" : `: ${JSON.stringify(actual)}`}`);
  if (!passed) process.exitCode = 1;
}
const sleep = (milliseconds) => new Promise((next) => setTimeout(next, milliseconds));
const until = async (condition) => { for (let n = 0; n < 400 && !(await condition()); n++) await sleep(25); };
const requests = async (operation) => {
  const log = await (await fetch(`${emulator}log`)).json();
  return log.requests.filter((request) => request.operation === operation);
};
const setFault = (fault) => fetch(`${emulator}faults`, { method: "POST", body: JSON.stringify({ fault }) });

// A relay in front of the proxy, which can close a connection that Chromium has reused.
let closeNext = false, runs = 0, closed = 0;
const relay = net.createServer((client) => {
  const server = net.connect(Number(new URL(proxy).port), "127.0.0.1");
  let used = false;
  client.on("data", (data) => {
    const isRun = data.toString("latin1").startsWith("POST /v1/workflow/invoke");
    if (isRun) runs += 1;
    if (isRun && used && closeNext) {
      closeNext = false;
      setTimeout(() => { closed += 1; client.destroy(); }, 200);
    }
    used = true;
    server.write(data);
  });
  server.on("data", (data) => client.write(data));
  for (const [one, other] of [[client, server], [server, client]]) {
    one.on("close", () => other.destroy());
    one.on("error", () => {});
  }
});
await new Promise((ready) => relay.listen(0, "127.0.0.1", ready));
const url = `http://127.0.0.1:${relay.address().port}/`;

const chrome = await chromium.launch({ executablePath: browser, args: ["--no-sandbox"] });
const context = await chrome.newContext({ viewport: { width: 1280, height: 860 }, colorScheme: "light" });
const page = await context.newPage();
const problems = [], sent = [];
page.on("pageerror", (error) => problems.push(String(error)));
page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
page.on("request", (request) => sent.push(request.url() + JSON.stringify(request.headers()) + (request.postData() ?? "")));
const shot = (name) => page.screenshot({ path: path.join(folder, `${name}.png`) });
const result = (form) => page.locator(`#${form}-result`);
const submit = async (form, fields = {}) => {
  for (const [name, value] of Object.entries(fields)) await page.locator(`#${form} [name=${name}]`).fill(value);
  await page.locator(`#${form} [type=submit]`).click();
};
const finished = (form) => until(() => page.locator(`#${form} [type=submit]`).isEnabled());
const error = (form) => result(form).locator(".error").innerText();

await page.goto(url);
await page.locator("[data-ready]").waitFor();

await submit("run");
await finished("run");
check("a run shows its output", (await result("run").innerText()) === "Three things are new in AI this week.", await result("run").innerText());

await submit("ask");
await until(async () => (await result("ask").locator(".answer").count()) > 0);
const early = await result("ask").innerText();
await shot("stream");
await finished("ask");
const late = await result("ask").innerText();
check("an answer appears while it is generated", late.length > early.length && late.startsWith(early.slice(0, 40)), [early, late]);
check("an answer shows its tool calls", (await result("ask").locator(".tool").count()) === 2 && late.includes("google_search") && late.includes("AI news"), late);
check("an answer ends with its usage", late.endsWith("55 tokens · req_5d1c"), late);

await submit("ask", { agent: "unreliable" });
await finished("ask");
check("a cut stream is an error, and its text is kept", (await result("ask").innerText()).startsWith("Three things are new. First,") && (await error("ask")).startsWith("The run may have started"), await result("ask").innerText());

await submit("run", { deployment: "slow-report", timeout: "0.5" });
await finished("run");
check("a timeout is an error that may have run", (await error("run")).startsWith("The run may have started") && (await error("run")).includes("not finished within 0.5 s"), await error("run"));
await shot("errors");
await until(async () => (await requests("invokeWorkflow")).at(-1).end);
check("a timeout ends the request at the service", (await requests("invokeWorkflow")).at(-1).end === "no response", await requests("invokeWorkflow"));

await submit("run", { deployment: "broken-report", timeout: "60" });
await finished("run");
check("a failed run is shown as one", (await error("run")).startsWith("The run failed") && (await error("run")).includes("the model refused"), await error("run"));

await setFault("status=422 body={%22error%22:%22unknown_deployment%22} times=1");
await submit("run");
await finished("run");
check("a rejected run was not started", (await error("run")).startsWith("Nothing was started") && (await error("run")).includes("422"), await error("run"));

await submit("ask", { agent: "researcher" });
await until(async () => (await result("ask").locator(".tool").count()) > 0);
await page.locator("#stop").click();
await finished("ask");
await until(async () => (await requests("invokeAgent")).at(-1).end);
check("a stopped stream ends at the service", (await requests("invokeAgent")).at(-1).end === "client disconnected", (await requests("invokeAgent")).at(-1));

await submit("run", { deployment: "weekly-report" });
await finished("run");
const before = (await requests("invokeWorkflow")).length;
[runs, closeNext] = [0, true];
await submit("run", { deployment: "slow-report" });
await finished("run");
check("Chromium sends a run again after a closed connection", closed === 1 && runs === 2, [closed, runs]);
check("the proxy passes the run on once", (await requests("invokeWorkflow")).length === before + 1, (await requests("invokeWorkflow")).length - before);
check("a run that was sent twice may have run", (await error("run")).startsWith("The run may have started"), await error("run"));

check("the error states that the run was sent twice", (await error("run")).includes("the browser sent the request twice"), await error("run"));

await context.setOffline(true);
const offline = await page.evaluate(async () => {
  const { Hive } = await import("./fetch_hive_example_fetch.js");
  return new Hive("https://app.example.com/v1", "session").run("weekly-report", "AI", 2).catch((error) => error);
});
await context.setOffline(false);
check("an offline browser sends nothing", offline.verdict === "not-started" && offline.message.includes("offline"), offline);

await page.emulateMedia({ colorScheme: "dark" });
await shot("dark");
await page.setViewportSize({ width: 390, height: 844 });
check("a narrow window does not scroll horizontally", await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth));
await page.screenshot({ path: path.join(folder, "narrow.png"), fullPage: true });

check("no request of the page contains an API key", sent.length > 8 && !sent.some((text) => text.includes("fhk_")), sent.length);
// The browser logs the failed requests that this test causes.
const unexpected = problems.filter((problem) => !/Failed to load resource/.test(problem));
check("the page has no errors", unexpected.length === 0, unexpected);
await chrome.close();
relay.close();
