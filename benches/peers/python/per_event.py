"""Counts plays in the simplest way: one statement per event, which is a separate transaction, then the acknowledgement;
AT_ONCE events in flight at a time.

Owns only its own consumer. Delivery is at least once: after a crash between commit and acknowledgement, an event counts
twice. Must never acknowledge before the commit.

Environment: NATS_URL, DATABASE_URL, STREAM, CONSUMER, AT_ONCE. SIGTERM: finishes events in flight, prints one line of
JSON (events, last_seq, last_commit in Unix milliseconds).
"""

import asyncio
import json
import os
import signal
import time

import asyncpg
import nats
from nats.js.api import AckPolicy, ConsumerConfig

STREAM, CONSUMER = os.environ["STREAM"], os.environ["CONSUMER"]
AT_ONCE = int(os.environ["AT_ONCE"])
# Fetched at a time, and how long to wait for the first of them in seconds.
FETCH, FETCH_WITHIN = 100, 1
COUNT = """INSERT INTO playlists (playlist_id, plays) VALUES ($1, 1)
           ON CONFLICT (playlist_id) DO UPDATE SET plays = playlists.plays + 1"""

done = {"events": 0, "last_seq": 0, "last_commit": 0}


async def count(pool, message):
    event = json.loads(message.data)
    await pool.execute(COUNT, event["playlist_id"])
    await message.ack()
    done["events"] += 1
    done["last_seq"] = max(done["last_seq"], message.metadata.sequence.stream)
    done["last_commit"] = int(time.time() * 1000)


async def work(pool, messages, stopping):
    """One of AT_ONCE workers: takes from what was fetched until nothing is left of it."""
    while not stopping.is_set() and (message := next(messages, None)):
        await count(pool, message)


async def main():
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    connection = await nats.connect(os.environ["NATS_URL"])
    jetstream = connection.jetstream()
    await jetstream.add_consumer(STREAM, ConsumerConfig(durable_name=CONSUMER, ack_policy=AckPolicy.EXPLICIT))
    subscription = await jetstream.pull_subscribe_bind(CONSUMER, STREAM)
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=AT_ONCE, max_size=AT_ONCE) as pool:
        while not stopping.is_set():
            try:
                messages = iter(await subscription.fetch(FETCH, timeout=FETCH_WITHIN))
            except nats.errors.TimeoutError:
                continue
            await asyncio.gather(*(work(pool, messages, stopping) for _ in range(AT_ONCE)))
    # Not drain(): it waits for messages that came after their fetch had ended, and that no fetch will take.
    await connection.flush()
    await connection.close()
    print(json.dumps(done))


asyncio.run(main())
