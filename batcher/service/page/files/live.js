// A wave's events as they come. It connects again by itself, with the id of the last event, so that none is missed.
import { send, Refused } from "./ask.js";

const SILENT_MS = 40_000; // the service says something every 15 s: one that is silent for longer is gone
const WAITS_MS = [300, 1000, 2000, 4000, 8000];

// Tell *on* of each event, and *connected* whether there is a connection. Returns what ends it.
export function follow(path, on, connected) {
  let last = null, tries = 0, over = false, abort = null, timer = 0, watch = 0;

  const heard = () => {
    clearTimeout(watch);
    watch = setTimeout(() => abort?.abort(), SILENT_MS);
  };

  async function connect() {
    abort = new AbortController();
    try {
      heard();
      const answer = await send(path, { headers: last === null ? {} : { "Last-Event-ID": last }, signal: abort.signal });
      tries = 0;
      connected(true);
      await read(answer.body.getReader());
    } catch (error) {
      if (error instanceof Refused && [401, 403, 404].includes(error.status)) over = true;
    }
    clearTimeout(watch);
    if (over) return;
    connected(false);
    timer = setTimeout(connect, WAITS_MS[Math.min(tries++, WAITS_MS.length - 1)] * (0.75 + Math.random() / 2));
  }

  async function read(reader) {
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      heard();
      text += decoder.decode(value, { stream: true });
      const blocks = text.split("\n\n");
      text = blocks.pop();
      for (const block of blocks) take(block);
    }
  }

  function take(block) {
    const event = {};
    for (const line of block.split("\n")) {
      const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
      if (name) event[name] = value;
    }
    if (event.id !== undefined) last = event.id;
    if (event.event && !over) on(event.event, JSON.parse(event.data));
  }

  connect();
  return () => {
    over = true;
    clearTimeout(timer);
    clearTimeout(watch);
    abort?.abort();
  };
}
