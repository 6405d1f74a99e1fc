// Package relay lets workers on other machines send. It is the only package that knows NATS.
//
// The hub (campaignd run) keeps the store and decides everything. It publishes batches of
// rendered messages to a JetStream work queue. A worker (campaignd worker) takes a batch, asks
// the hub for permission (the claim), sends the messages through an ordinary driver and
// publishes the answers to a second stream, which the hub reads. NATS may lose anything at any
// moment: permission, outcomes and rates are the hub's alone.
//
// # Rules
//
//  1. Claim: a worker sends nothing of a batch before the hub granted it. The hub grants a batch
//     once, and again only where on_unknown is "retry". It refuses what was paused, canceled,
//     opted out, withdrawn or became too late since the batch was published. A worker that gets
//     no reply within ClaimTimeout sends nothing of that batch, whatever arrives later.
//     Where on_unknown is "hold" the hub records a grant before it replies: a server that lost its
//     newest writes hands out again what it has handed out, and a hub that starts must know what
//     nobody has.
//  2. Answers are kept: a worker publishes every answer until the stream acknowledges it. The
//     answers name the messages by key and attempt, so that a hub that starts can use them; it
//     reads the stream to its end before it calls anything unknown.
//  3. A worker gives a batch back by an answer of its own (Answers.Back), also after a claim
//     without a reply: nothing of it was sent and nothing will be.
//
// No decision compares the clocks of two machines. ClaimTimeout, AckWait and AnswerWait are each
// measured on one machine.
//
// # The way of a batch
//
//  1. The hub records the attempts in the store, then publishes the batch to Names.Work.
//  2. A worker with free places takes it and sends a Claim to Names.Claim, with ClaimTimeout.
//  3. The hub replies with a Grant, which it has recorded where on_unknown is "hold". There the
//     worker now acknowledges the batch, so that nobody gets it again.
//  4. The worker calls the driver and sends InProgress every ProgressEvery while it works, and
//     Alive to the hub.
//  5. It publishes Answers to Names.Done, in parts as results arrive, and acknowledges the batch
//     after the last one.
//  6. The hub records the results.
//
// A batch that isn't claimed within a few seconds (package send) is withdrawn by the hub: its messages are pending
// again, and a later claim is refused. The hub deletes streams' contents never by itself; age and
// acknowledgements do.
//
// # Wire
//
// The first byte of every message is the version of its format. Batches, claims and answers
// continue with the id of the batch (epoch and number, 8 bytes each), in every version, so that a
// worker can give back a batch that it can't read. Each worker announces the versions that it
// reads (WorkerRecord), and the hub writes the newest that all workers of a channel share
// (SharedVersion). Without one the channel waits and says so.
//
// Whatever arrives may be garbage or from another program. Decoders return an error, never panic,
// and allocate no more than a small multiple of the input's length.
//
// # Streams
//
// Declare creates what is missing and is called again after losses: the work queue (a consumer a
// channel, see DeclareChannel), the answers (kept for a day), and the bucket of workers, in which
// each worker renews its WorkerRecord. Streams are on file: a stream in memory is gone after
// NATS restarts.
//
// # The log of the store
//
// With [standby] the hub's store is replicated (docs/decisions/0082-the-log-of-the-store.md). Log
// implements store.Log on the stream CD_x_LOG: fences, write sets, chunks of bases and what
// completes them, each on its own subject. A message begins with version, writer, the writer's
// count, epoch and position, and is published with the sequence that the last message must have;
// bodies larger than a message are divided.
//
//   - Fence makes a process the one that appends. The next append of any other fails, and that one
//     finds the fence and ends with store.ErrDeposed.
//   - Run publishes, repairs after every error and loss, and writes bases. It also looks at the
//     stream once a second while nothing is appended.
//   - CatchUp and Follow bring a copy (store.Follower) to the end of the log, from its base where the
//     write sets alone don't.
//
// What another program publishes to these subjects is skipped and logged. Messages of a later version
// are not: a hub that finds one is deposed, and a standby says that it must be upgraded.
package relay
