import assert from "node:assert/strict";
import { test } from "node:test";
import { read } from "../src/api/socket.ts";
import { Scheduler, type Topic } from "../src/ui/scheduler.ts";

test("what is no message is told from one", () => {
  assert.deepEqual(read('{"channel":"trades","data":[]}'), { channel: "trades", data: [] });
  for (const text of ["", '{"channel":"tra', "null", "[]", "7", "<html>"]) assert.equal(read(text), null, text);
});

test("a panel that fails takes no other with it", () => {
  const frames: (() => void)[] = [];
  const failures: unknown[] = [];
  Object.assign(globalThis, { requestAnimationFrame: (f: () => void) => frames.push(f), reportError: (e: unknown) => failures.push(e) });
  const scheduler = new Scheduler();
  const fault = new Error("a field that no venue sends");
  let painted = 0;
  let after = 0;
  const topics: Topic[] = ["trades"];
  scheduler.add({
    topics,
    render: () => {
      throw fault;
    },
  });
  scheduler.add({ topics, render: () => (painted += 1) });
  scheduler.afterPaint(() => (after += 1));
  frames.shift()?.();
  scheduler.touch("trades");
  frames.shift()?.();
  assert.deepEqual([painted, after, failures], [2, 2, [fault, fault]]);
});
