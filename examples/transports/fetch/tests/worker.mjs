// A worker that executes the commands of `bridge.mjs`.

import { execute, initSync } from "./library.js";
import module from "./library.wasm";

initSync({ module });

export default {
  async fetch(request, _environment, context) {
    const { readable, writable } = new TransformStream();
    const writer = writable.getWriter();
    const encoder = new TextEncoder();
    const emit = (event) => writer.write(encoder.encode(event + "\n"));
    const run = async () => {
      let command = [];
      for await (const part of request.body.pipeThrough(new TextDecoderStream())) {
        const [first, ...rest] = part.split("\n");
        command.push(first);
        for (const next of rest) {
          execute(command.join(""), emit);
          command = [next];
        }
      }
      await writer.close();
    };
    context.waitUntil(run());
    emit('{"ready":true}');
    return new Response(readable);
  },
};
