// Collects a notebook from an HTTP server, page by page. Knows the Collection Profile and nothing of pdpp-worker.
import { createInterface } from "node:readline";

const say = (message) => process.stdout.write(JSON.stringify(message) + "\n");
const pause = () => new Promise((resume) => setTimeout(resume, Number(process.env.PDPP_PACING_MIN_INTERVAL_MS)));

async function collect(start) {
  let page = start.state?.notes?.page ?? 0;
  let sent = 0;
  for (;;) {
    const answer = await fetch(`${process.env.NOTES_URL}/page/${page}`);
    if (answer.status === 404) return sent;
    if (!answer.ok) throw new Error(`the notebook answered ${answer.status}`);
    for (const note of await answer.json()) {
      say({ type: "RECORD", stream: "notes", key: note.id, data: note, emitted_at: new Date().toISOString() });
      sent += 1;
    }
    page += 1;
    say({ type: "STATE", stream: "notes", cursor: { page } });
    await pause();
  }
}

const input = createInterface({ input: process.stdin });
const start = JSON.parse((await input[Symbol.asyncIterator]().next()).value);
try {
  say({ type: "DONE", status: "succeeded", records_emitted: await collect(start) });
} catch (error) {
  say({ type: "DONE", status: "failed", error: { message: error.message, retryable: true } });
  process.exitCode = 1;
}
input.close();
