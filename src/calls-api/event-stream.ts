import type { ServerResponse } from 'node:http';
import type { CallRecord, RecordedEvent } from '../call-records.ts';
import type { Cancel, Clock } from '../clock.ts';
import { callAnswer, eventAnswer } from './shapes.ts';

/** Keeps proxies from closing a connection on which nothing happens, and finds clients that are gone. */
const HEARTBEAT_MS = 15_000;
/** More events than a call keeps: a client that asks for all of them has room for all of them. */
const MAX_WAITING = 4000;
/** A client that reads nothing for so many heartbeats is dropped; it may come back with the number of its last event. */
const MAX_STALLED_BEATS = 2;

/**
 * Tells one client the events of one call, as server-sent events, until the call is over. The call never waits for the
 * client: events are written while its connection takes them, wait in a bounded queue when not, and one that falls
 * behind is dropped.
 */
export class EventStream {
  readonly #clock: Clock;
  readonly #record: CallRecord;
  readonly #response: ServerResponse;
  readonly #waiting: RecordedEvent[] = [];
  #unfollow: () => void = () => undefined;
  #cancelBeat: Cancel = () => undefined;
  /** The connection takes nothing at the moment. */
  #full = false;
  #stalledBeats = 0;
  /** No more events will come. */
  #last = false;
  #closed = false;

  constructor(clock: Clock, record: CallRecord, response: ServerResponse) {
    this.#clock = clock;
    this.#record = record;
    this.#response = response;
  }

  /** Tells of the events after `number`, and of those to come; of nothing at all for a `HEAD` request. */
  start(number: number, head: boolean): void {
    const response = this.#response;
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      // Otherwise nginx keeps the events until it has enough of them.
      'x-accel-buffering': 'no',
    });
    if (head) {
      response.end();
      return;
    }
    response.flushHeaders();
    response.on('drain', () => this.#onDrain());
    response.on('close', () => this.#close());
    response.on('error', () => this.#close());
    this.#beatLater();
    this.#unfollow = this.#record.follow(number, (event) => this.#onEvent(event));
    // Where the call is over already there is nobody to take leave of.
    if (this.#closed) this.#unfollow();
  }

  #onEvent(event: RecordedEvent | undefined): void {
    if (this.#closed) return;
    try {
      if (event === undefined) this.#last = true;
      else this.#waiting.push(event);
      if (this.#waiting.length > MAX_WAITING) this.#drop();
      else this.#send();
    } catch {
      // Called from the middle of the call's own work, which an event that cannot be told must not end.
      this.#drop();
    }
  }

  #onDrain(): void {
    this.#full = false;
    this.#stalledBeats = 0;
    this.#send();
  }

  #send(): void {
    let sent = 0;
    while (!this.#full && !this.#closed) {
      const event = this.#waiting[sent];
      if (event === undefined) break;
      sent += 1;
      const text = JSON.stringify(eventAnswer(event));
      this.#write(`id: ${event.number}\nevent: ${event.type}\ndata: ${text}\n\n`);
    }
    this.#waiting.splice(0, sent);
    if (this.#last && this.#waiting.length === 0 && !this.#closed) this.#finish();
  }

  #finish(): void {
    // A service that has to stop before the carrier has let go of a call says nothing of its end.
    if (this.#record.isOver) {
      this.#response.write(`event: end\ndata: ${JSON.stringify(callAnswer(this.#record.view))}\n\n`);
    }
    this.#close();
    this.#response.end();
  }

  #write(text: string): void {
    this.#full = !this.#response.write(text);
  }

  #beatLater(): void {
    this.#cancelBeat = this.#clock.after(HEARTBEAT_MS, () => this.#beat());
  }

  #beat(): void {
    if (this.#full) this.#stalledBeats += 1;
    else this.#write(': alive\n\n');
    if (this.#stalledBeats >= MAX_STALLED_BEATS) this.#drop();
    else this.#beatLater();
  }

  #drop(): void {
    this.#close();
    this.#response.destroy();
  }

  #close(): void {
    this.#closed = true;
    this.#cancelBeat();
    this.#unfollow();
    this.#waiting.length = 0;
  }
}
