using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "network", network = (allow = ["local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);

const worker :Workerd.Worker = (
  modules = [
    (name = "worker.mjs", esModule = embed "worker.mjs"),
    (name = "library.js", esModule = embed "fetch_hive_example_fetch.js"),
    (name = "library.wasm", wasm = embed "fetch_hive_example_fetch_bg.wasm"),
  ],
  compatibilityDate = "2024-01-01",
  globalOutbound = "network",
);
