// Counts plays in the simplest way: one statement per event, which is a separate transaction, then the acknowledgement;
// AT_ONCE events in flight at a time.
// Owns only its own consumer. Delivery is at least once: after a crash between commit and acknowledgement, an event counts
// twice. Must never acknowledge before the commit.
//
// Environment: NATS_URL, DATABASE_URL, STREAM, CONSUMER, AT_ONCE. SIGTERM: finishes events in flight, prints one line of
// JSON (events, last_seq, last_commit in Unix milliseconds).
"use strict";

const { AckPolicy, jetstream, jetstreamManager } = require("@nats-io/jetstream");
const { connect } = require("@nats-io/transport-node");
const { Pool } = require("pg");

const { NATS_URL, DATABASE_URL, STREAM, CONSUMER } = process.env;
const AT_ONCE = Number(process.env.AT_ONCE);
// Named, so that it is prepared once a connection.
const COUNT = {
  name: "count",
  text: `INSERT INTO playlists (playlist_id, plays) VALUES ($1, 1)
         ON CONFLICT (playlist_id) DO UPDATE SET plays = playlists.plays + 1`,
};

const done = { events: 0, last_seq: 0, last_commit: 0 };

async function count(pool, message) {
  const event = message.json();
  await pool.query({ ...COUNT, values: [event.playlist_id] });
  message.ack();
  done.events += 1;
  done.last_seq = Math.max(done.last_seq, message.seq);
  done.last_commit = Date.now();
}

async function main() {
  const nats = await connect({ servers: NATS_URL });
  const pool = new Pool({ connectionString: DATABASE_URL, max: AT_ONCE });
  const manager = await jetstreamManager(nats);
  await manager.consumers.add(STREAM, { durable_name: CONSUMER, ack_policy: AckPolicy.Explicit });
  const consumer = await jetstream(nats).consumers.get(STREAM, CONSUMER);
  const messages = await consumer.consume();
  let stopping = false;
  process.once("SIGTERM", () => {
    stopping = true;
    messages.stop();
  });

  const inHand = new Set();
  for await (const message of messages) {
    if (stopping) break;
    const one = count(pool, message).finally(() => inHand.delete(one));
    inHand.add(one);
    if (inHand.size >= AT_ONCE) await Promise.race(inHand);
  }
  await Promise.all(inHand);
  await nats.drain();
  await pool.end();
  console.log(JSON.stringify(done));
}

main();
