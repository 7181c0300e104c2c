// Counts plays in a faster way: BATCH events per transaction, which also moves the position in the stream, so that each
// event counts exactly once. The next batch is fetched during a commit.
// Owns its own consumer, created again at the position at each start; an acknowledgement only reports the progress.
// Must never commit a batch that does not begin directly after the position.
//
// Environment: NATS_URL, DATABASE_URL, STREAM, CONSUMER, BATCH. SIGTERM: finishes events in flight, prints one line of
// JSON (events, last_seq, last_commit in Unix milliseconds).
"use strict";

const { AckPolicy, DeliverPolicy, jetstream, jetstreamManager } = require("@nats-io/jetstream");
const { connect } = require("@nats-io/transport-node");
const { Client } = require("pg");

const { NATS_URL, DATABASE_URL, STREAM, CONSUMER } = process.env;
const BATCH = Number(process.env.BATCH);
// How long a batch may wait to be full.
const FULL_WITHIN_MS = 1_000;
const MOVE = "UPDATE peer_position SET last_seq = $1 WHERE last_seq = $2";
const ADD = `INSERT INTO playlists (playlist_id, plays) SELECT * FROM unnest($1::text[], $2::bigint[])
             ON CONFLICT (playlist_id) DO UPDATE SET plays = playlists.plays + excluded.plays`;

const done = { events: 0, last_seq: 0, last_commit: 0 };

// Makes the consumer start right after the last event that was committed.
async function consumerAtPosition(nats, db) {
  const { rows } = await db.query("SELECT last_seq FROM peer_position");
  const manager = await jetstreamManager(nats);
  const all = await manager.consumers.list(STREAM).next();
  if (all.some((info) => info.name === CONSUMER)) await manager.consumers.delete(STREAM, CONSUMER);
  await manager.consumers.add(STREAM, {
    durable_name: CONSUMER,
    ack_policy: AckPolicy.All,
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: Number(rows[0].last_seq) + 1,
    max_ack_pending: 3 * BATCH,
  });
  return jetstream(nats).consumers.get(STREAM, CONSUMER);
}

async function fetch(consumer) {
  const batch = [];
  for await (const message of await consumer.fetch({ max_messages: BATCH, expires: FULL_WITHIN_MS })) {
    batch.push(message);
  }
  return batch;
}

async function commit(db, batch) {
  const plays = new Map();
  for (const message of batch) {
    const event = message.json();
    plays.set(event.playlist_id, (plays.get(event.playlist_id) ?? 0) + 1);
  }
  // In order, so that two writers never wait for each other in a circle.
  const ids = [...plays.keys()].sort();
  const [first, last] = [batch[0].seq, batch[batch.length - 1].seq];
  if (last - first + 1 !== batch.length) throw new Error(`a hole between ${first} and ${last}`);
  await db.query("BEGIN");
  const moved = await db.query(MOVE, [last, first - 1]);
  if (moved.rowCount !== 1) throw new Error(`${first} does not follow the position`);
  await db.query(ADD, [ids, ids.map((id) => plays.get(id))]);
  await db.query("COMMIT");
  batch[batch.length - 1].ack();
  done.events += batch.length;
  done.last_seq = last;
  done.last_commit = Date.now();
}

async function main() {
  const nats = await connect({ servers: NATS_URL });
  const db = new Client({ connectionString: DATABASE_URL });
  await db.connect();
  const consumer = await consumerAtPosition(nats, db);
  let stopping = false;
  process.once("SIGTERM", () => {
    stopping = true;
  });

  let next = fetch(consumer);
  while (!stopping) {
    const batch = await next;
    next = fetch(consumer);
    if (batch.length > 0) await commit(db, batch);
  }
  // The batch is not counted: the next start gets it again.
  await next;
  await nats.drain();
  await db.end();
  console.log(JSON.stringify(done));
}

main();
