import init, { Hive } from "./fetch_hive_example_fetch.js";

const VERDICTS = {
  "not-started": "Nothing was started",
  "may-have-run": "The run may have started",
  "failed": "The run failed",
};

const $ = (id) => document.getElementById(id);

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function showError(output, error) {
  const box = make("div", `error ${error.verdict ?? "may-have-run"}`);
  box.setAttribute("role", "alert");
  box.append(make("strong", "", VERDICTS[error.verdict] ?? "The page failed"));
  box.append(make("p", "", error.message ?? String(error)));
  const notes = [];
  if (error.attempts > 1) notes.push(`${error.attempts} attempts`);
  if (error.run) notes.push(`Run ${error.run}`);
  if (notes.length) box.append(make("p", "note", notes.join(" · ")));
  output.append(box);
}

function showEvent(output, event) {
  const last = output.lastElementChild;
  if (event.type === "text" || event.type === "thought") {
    const className = event.type === "text" ? "answer" : "thought";
    if (last?.className === className) last.textContent += event.text;
    else output.append(make("p", className, event.text));
  } else if (event.type === "tool") {
    const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));
    const box = make("div", "tool");
    const list = make("dl");
    for (const [name, value] of [["Input", event.input], ["Result", event.result]]) {
      if (value !== null) list.append(make("dt", "", name), make("dd", "", text(value)));
    }
    box.append(make("strong", "", `Called ${event.tool ?? "a tool"}`), list);
    output.append(box);
  } else {
    output.append(make("p", "note", [event.tokens && `${event.tokens} tokens`, event.run].filter(Boolean).join(" · ")));
  }
}

/** Runs a task for a form: disables its button, and shows that it waits and how it failed. */
function onSubmit(form, output, task) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("[type=submit]");
    const waiting = make("p", "note waiting", "Waiting for the service");
    output.replaceChildren(waiting);
    button.disabled = true;
    try {
      await task(Object.fromEntries(new FormData(form)), () => waiting.remove());
    } catch (error) {
      showError(output, error);
    }
    waiting.remove();
    button.disabled = false;
  });
}

await init();
const session = await fetch("session", { method: "POST" });
const hive = new Hive(`${location.origin}/v1`, await session.text());

onSubmit($("run"), $("run-result"), async (fields) => {
  const output = await hive.run(fields.deployment, fields.topic, Number(fields.timeout));
  $("run-result").append(make("p", "answer", output));
});

onSubmit($("ask"), $("ask-result"), async (fields, started) => {
  const output = $("ask-result");
  const controller = new AbortController();
  const stop = () => controller.abort();
  const onEvent = (event) => { started(); showEvent(output, event); };
  $("stop").addEventListener("click", stop);
  $("stop").disabled = false;
  try {
    await hive.ask(fields.agent, fields.message, onEvent, controller.signal);
    if (controller.signal.aborted) output.append(make("p", "note", "You stopped the stream. The run may continue."));
  } finally {
    $("stop").removeEventListener("click", stop);
    $("stop").disabled = true;
  }
});

document.documentElement.dataset.ready = "true";
