// Tests the emulator's page in headless Chromium, and takes screenshots of both themes.

import { createServer } from "node:http";
import { createRequire } from "node:module";
import { execFileSync } from "node:child_process";
import path from "node:path";

const [url, folder, browser] = process.argv.slice(2);
const { chromium } = createRequire(path.join(folder, "package.json"))("playwright-core");
const origin = url.replace(/\/v1$/, "");

function check(name, passed, actual) {
  console.log(`   ${passed ? "ok" : "FAILED"}: ${name}${passed ? "" : `: ${JSON.stringify(actual)}`}`);
  if (!passed) process.exitCode = 1;
}

const received = [];
const receiver = createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    received.push({ signature: request.headers["x-fetch-hive-signature"], body: Buffer.concat(parts).toString() });
    response.statusCode = received.length === 1 ? 503 : 200;
    response.end();
  });
});
await new Promise((ready) => receiver.listen(0, "127.0.0.1", ready));
const callback = `http://127.0.0.1:${receiver.address().port}/callback`;

const post = async (path, body, key = "fhk_TOPSECRET") => {
  const response = await fetch(url + path, {
    method: "POST", headers: { authorization: `Bearer ${key}`, "content-type": "application/json" }, body: JSON.stringify(body),
  });
  return response.text();
};
const until = async (condition) => { for (let n = 0; n < 400 && !(await condition()); n++) await new Promise((next) => setTimeout(next, 25)); };

await post("/workflow/invoke", { deployment: "weekly-report", inputs: { topic: "it's AI" }, metadata: { customer_id: "cus_123" } });
await post("/prompt/invoke", { deployment: "summary", inputs: { text: "a b c d" }, streaming: true });
await post("/agent/invoke", { agent: "support", message: "Where is my order?", streaming: true, thread_id: "t-1" });
await post("/workflow/invoke", {});
await post("/workflow/invoke", { deployment: "x" }, "fhk_invalid");
await fetch(`${url}/public/models`, { headers: { authorization: "Bearer fhk_TOPSECRET" } });
const accepted = JSON.parse(await post("/workflow/invoke", { deployment: "nightly", async: { enabled: true, callback_url: callback } }));
await until(() => received.length >= 2);

const chrome = await chromium.launch({ executablePath: browser, args: ["--no-sandbox"] });
const context = await chrome.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: "light" });
await context.grantPermissions(["clipboard-read", "clipboard-write"]);
const page = await context.newPage();
const problems = [];
page.on("pageerror", (error) => problems.push(String(error)));
page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
await page.goto(`${origin}/_emulator/`);
const rows = page.locator("#list li[role=option]");
await until(async () => (await rows.count()) === 9);
check("the list shows seven requests and two delivery attempts", (await rows.count()) === 9, await rows.count());
await until(async () => (await page.locator("#state").textContent()) === "live");
check("the state is live", (await page.locator("#state").textContent()) === "live");

await post("/prompt/invoke", { deployment: "later" });
await until(async () => (await rows.count()) === 10);
check("a new request appears without a reload", (await rows.count()) === 10, await rows.count());

await page.keyboard.press("/");
await page.keyboard.type("workflow 401");
check("the filter accepts several words", (await rows.count()) === 1 && (await rows.first().textContent()).includes("401"), await rows.allTextContents());
await page.locator("#filter").fill("nothing-like-it");
check("an empty result has a message", (await page.locator("#list").textContent()).includes("Nothing matches"));
await page.locator("#filter").fill("invokeAgent");
await page.keyboard.press("Enter");
await page.locator("#events").waitFor();
const events = await page.locator("#events tr").allTextContents();
check("the events of a stream are shown with their times", events.length > 4 && events.every((event) => /^\+\d+ ms/.test(event)) && events.at(-1).includes("[DONE]"), events);
check("the API key is masked", (await page.locator("#details").textContent()).includes("Bearer ••••••"));
await page.locator("#filter").fill("");
await page.screenshot({ path: path.join(folder, "light.png") });

await page.locator("#filter").fill("weekly-report");
check("the filter does not search bodies", (await rows.count()) === 0);
await page.locator("#filter").fill("invokeWorkflow 200");
await page.keyboard.press("Enter");
await page.keyboard.press("Escape");
await page.locator("#curl").waitFor();
await until(async () => (await page.locator("#details").textContent()).includes("weekly-report"));
await page.keyboard.press("c");
await until(async () => (await page.locator("#curl").textContent()) === "Copied");
const command = await page.evaluate(() => navigator.clipboard.readText());
const again = execFileSync("sh", ["-c", command], { env: { ...process.env, FETCH_HIVE_API_KEY: "fhk_again" }, stdio: ["ignore", "pipe", "ignore"] });
check("the copied curl command works", JSON.parse(again).output.includes("topic = it's AI"), [command, String(again)]);

await page.locator("#filter").fill("");
await page.locator("#kind").selectOption("callback");
check("the list can show callbacks only", (await rows.count()) === 2, await rows.allTextContents());
await page.locator("#list").focus();
await page.keyboard.press("ArrowDown");
await page.locator("#replay").waitFor();
const before = received.length;
await page.keyboard.press("r");
await until(() => received.length > before);
check("a replayed callback is identical", received.at(-1).body === received[1].body && received.at(-1).signature === received[1].signature, received.length);
await until(async () => (await rows.count()) === 3);
check("a replay is listed as another attempt", (await rows.first().textContent()).includes("attempt 3"), await rows.allTextContents());
const text = await page.evaluate(async () => (await (await fetch("log")).text()) + document.body.textContent);
check("the page shows no API key and no secret", !text.includes("TOPSECRET") && !text.includes(accepted.webhook_secret.slice(6)));

await page.emulateMedia({ colorScheme: "dark" });
await page.locator("#kind").selectOption("");
await page.locator("#filter").fill("nightly");
await page.locator("#filter").fill("202");
await page.keyboard.press("Enter");
await page.locator("#curl").waitFor();
await page.locator("#filter").fill("");
await page.screenshot({ path: path.join(folder, "dark.png") });
await page.setViewportSize({ width: 420, height: 800 });
const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
check("a narrow window does not scroll horizontally", !wide);
await page.screenshot({ path: path.join(folder, "narrow.png") });

await page.setViewportSize({ width: 1280, height: 800 });
await page.emulateMedia({ colorScheme: "light" });
await page.locator("#compose").click();
await page.locator("#send").waitFor();
check("every operation can be sent", (await page.locator("#field-operation option").count()) === 43);
await page.locator("#send").click();
await until(async () => (await page.locator("#sent").textContent()).startsWith("200"));
check("a sample request is answered", (await page.locator("#sent").textContent()).includes("completed"), await page.locator("#sent").textContent());
await page.screenshot({ path: path.join(folder, "send.png") });
await page.locator("#faults").click();
await page.locator("#field-fault").fill("status=503 operation=invokeWorkflow");
await page.locator("#add-fault").click();
await until(async () => (await page.locator("#fault-list").textContent()).includes("status=503"));
check("a fault can be set", (await page.locator("#faults").textContent()) === "Faults (1)", await page.locator("#faults").textContent());
await page.screenshot({ path: path.join(folder, "faults.png") });
await page.locator("#compose").click();
await page.locator("#send").click();
await until(async () => (await page.locator("#sent").textContent()).startsWith("503"));
check("the fault applies to a request of the page", (await page.locator("#sent").textContent()).startsWith("503"));
await page.locator("#faults").click();
await page.locator("#field-fault").fill("status=5o3");
await page.locator("#add-fault").click();
await until(async () => (await page.locator("#fault-result").textContent()) !== "");
check("an invalid fault is explained", (await page.locator("#fault-result").textContent()).length > 10);
await page.locator("#clear-faults").click();
await until(async () => (await page.locator("#faults").textContent()) === "Faults");
check("faults can be cleared", (await page.locator("#fault-list").textContent()).includes("No faults"));
check("the usage is shown", /runs \d+.* · calls today \d+/.test(await page.locator("#usage").textContent()), await page.locator("#usage").textContent());

const foreign = await fetch(`${origin}/_emulator/callbacks/1/replay`, { method: "POST", headers: { origin: "https://evil.example" } });
check("another origin must not replay a callback", foreign.status === 403, foreign.status);
// The browser logs the two error responses that this test causes.
const unexpected = problems.filter((problem) => !/status of (503|400)/.test(problem));
check("the page has no errors", unexpected.length === 0, unexpected);
await chrome.close();
receiver.close();
receiver.closeAllConnections();
