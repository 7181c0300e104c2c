// A publisher of app events in Node, as an app server has it: message id, acknowledgement, retry, outbox.
//
//   npm install @nats-io/jetstream @nats-io/transport-node
//   NATS_URL=nats://localhost:4222 NATS_USER=app NATS_PASSWORD=… node publish.mjs outbox.ndjson
//
// The file stands for the outbox: a table that the transaction of the play itself writes, in the order of commits. An event is
// removed from it only after its acknowledgement; here it is printed.

import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

const LONGEST_DELAY_MS = 10_000;

/** Sends one event until the stream has it. Every attempt has the same message id, so it is stored once. */
async function publish(stream, event) {
  const kind = event.type.startsWith("playlist_") ? "playlists" : "plays";
  const payload = JSON.stringify(event);
  for (let delay = 200; ; delay = Math.min(2 * delay, LONGEST_DELAY_MS)) {
    try {
      return await stream.publish(`${kind}.${event.playlist_id}`, payload, { msgID: event.event_id, timeout: 5_000 });
    } catch (error) {
      // No acknowledgement: NATS is away, the stream is full, or the response was lost. A repeat is safe for 10 minutes.
      console.error(`${event.event_id}: ${error.message}; again in ${delay} ms`);
      await sleep(delay);
    }
  }
}

const connection = await connect({
  servers: process.env.NATS_URL,
  user: process.env.NATS_USER,
  pass: process.env.NATS_PASSWORD,
  // The user `app` may subscribe to nothing else.
  inboxPrefix: "_INBOX_app",
  maxReconnectAttempts: -1,
  waitOnFirstConnect: true,
});
const stream = jetstream(connection);
// One after the other, which keeps the order of each playlist. Events of different playlists may be in flight together.
for (const line of readFileSync(process.argv[2], "utf8").split("\n").filter(Boolean)) {
  const event = JSON.parse(line);
  const { seq, duplicate } = await publish(stream, event);
  console.log(`${event.event_id} ${seq} ${duplicate ? "stored before" : "stored"}`);
}
await connection.drain();
