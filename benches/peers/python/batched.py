"""Counts plays in a faster way: BATCH events per transaction, which also moves the position in the stream, so that each
event counts exactly once. The next batch is fetched during a commit.

Owns its own consumer, created again at the position at each start; an acknowledgement only reports the progress.
Must never commit a batch that does not begin directly after the position.

Environment: NATS_URL, DATABASE_URL, STREAM, CONSUMER, BATCH. SIGTERM: finishes events in flight, prints one line of
JSON (events, last_seq, last_commit in Unix milliseconds).
"""

import asyncio
import json
import os
import signal
import time
from collections import Counter

import asyncpg
import nats
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

STREAM, CONSUMER = os.environ["STREAM"], os.environ["CONSUMER"]
BATCH = int(os.environ["BATCH"])
# How long a batch may wait to be full, in seconds.
FULL_WITHIN = 1
MOVE = "UPDATE peer_position SET last_seq = $1 WHERE last_seq = $2"
ADD = """INSERT INTO playlists (playlist_id, plays) SELECT * FROM unnest($1::text[], $2::bigint[])
         ON CONFLICT (playlist_id) DO UPDATE SET plays = playlists.plays + excluded.plays"""

done = {"events": 0, "last_seq": 0, "last_commit": 0}


async def consumer_at_position(jetstream, db):
    """Makes the consumer start right after the last event that was committed."""
    position = await db.fetchval("SELECT last_seq FROM peer_position")
    try:
        await jetstream.delete_consumer(STREAM, CONSUMER)
    except NotFoundError:
        pass
    config = ConsumerConfig(
        durable_name=CONSUMER,
        ack_policy=AckPolicy.ALL,
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=position + 1,
        max_ack_pending=3 * BATCH,
    )
    await jetstream.add_consumer(STREAM, config)
    return await jetstream.pull_subscribe_bind(CONSUMER, STREAM)


async def fetch(subscription):
    try:
        return await subscription.fetch(BATCH, timeout=FULL_WITHIN)
    except nats.errors.TimeoutError:
        return []


async def commit(db, batch):
    plays = Counter(json.loads(message.data)["playlist_id"] for message in batch)
    # In order, so that two writers never wait for each other in a circle.
    ids = sorted(plays)
    first, last = (message.metadata.sequence.stream for message in (batch[0], batch[-1]))
    if last - first + 1 != len(batch):
        raise RuntimeError(f"a hole between {first} and {last}")
    async with db.transaction():
        if await db.execute(MOVE, last, first - 1) != "UPDATE 1":
            raise RuntimeError(f"{first} does not follow the position")
        await db.execute(ADD, ids, [plays[id] for id in ids])
    await batch[-1].ack()
    done.update(events=done["events"] + len(batch), last_seq=last, last_commit=int(time.time() * 1000))


async def main():
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    connection = await nats.connect(os.environ["NATS_URL"])
    db = await asyncpg.connect(os.environ["DATABASE_URL"])
    subscription = await consumer_at_position(connection.jetstream(), db)
    following = asyncio.create_task(fetch(subscription))
    while not stopping.is_set():
        batch = await following
        following = asyncio.create_task(fetch(subscription))
        if batch:
            await commit(db, batch)
    # The batch is not counted: the next start gets it again.
    await following
    # Not drain(): it waits for messages that came after their fetch had ended, and that no fetch will take.
    await connection.flush()
    await connection.close()
    await db.close()
    print(json.dumps(done))


asyncio.run(main())
