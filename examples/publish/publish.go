// A publisher of app events in Go, as an app server has it: message id, acknowledgement, retry, outbox.
//
//	go get github.com/nats-io/nats.go
//	NATS_URL=nats://localhost:4222 NATS_USER=app NATS_PASSWORD=… go run publish.go outbox.ndjson
//
// The file stands for the outbox: a table that the transaction of the play itself writes, in the order of commits. An event is
// removed from it only after its acknowledgement; here it is printed.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

const longestDelay = 10 * time.Second

type event struct {
	Type       string `json:"type"`
	EventID    string `json:"event_id"`
	PlaylistID string `json:"playlist_id"`
}

// publish sends one event until the stream has it. Every attempt has the same message id, so it is stored once.
func publish(stream nats.JetStreamContext, subject, id string, payload []byte) *nats.PubAck {
	for delay := 200 * time.Millisecond; ; {
		ack, err := stream.Publish(subject, payload, nats.MsgId(id), nats.AckWait(5*time.Second))
		if err == nil {
			return ack
		}
		// No acknowledgement: NATS is away, the stream is full, or the response was lost. A repeat is safe for 10 minutes.
		log.Printf("%s: %v; again in %v", id, err, delay)
		time.Sleep(delay)
		if delay *= 2; delay > longestDelay {
			delay = longestDelay
		}
	}
}

func main() {
	connection, err := nats.Connect(os.Getenv("NATS_URL"),
		nats.UserInfo(os.Getenv("NATS_USER"), os.Getenv("NATS_PASSWORD")),
		// The user `app` may subscribe to nothing else.
		nats.CustomInboxPrefix("_INBOX_app"),
		nats.MaxReconnects(-1),
		nats.RetryOnFailedConnect(true))
	if err != nil {
		log.Fatal(err)
	}
	stream, err := connection.JetStream()
	if err != nil {
		log.Fatal(err)
	}
	outbox, err := os.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	// One after the other, which keeps the order of each playlist. Events of different playlists may be in flight together.
	lines := bufio.NewScanner(outbox)
	for lines.Scan() {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		var next event
		if err := json.Unmarshal(lines.Bytes(), &next); err != nil {
			log.Fatal(err)
		}
		kind := "plays"
		if strings.HasPrefix(next.Type, "playlist_") {
			kind = "playlists"
		}
		ack := publish(stream, kind+"."+next.PlaylistID, next.EventID, lines.Bytes())
		stored := "stored"
		if ack.Duplicate {
			stored = "stored before"
		}
		fmt.Println(next.EventID, ack.Sequence, stored)
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
	if err := connection.Drain(); err != nil {
		log.Fatal(err)
	}
}
