import type { AgentDigits } from './agents.ts';
import type { AudioFormat } from './audio/format.ts';
import type { CallEvent } from './call-events.ts';
import type { Answer, Carrier, CarrierName, IncomingCall, WebhookRequest, WebhookRoute } from './carrier.ts';
import type { Clock } from './clock.ts';
import type { Order } from './orders.ts';
import type { RealtimeProvider } from './provider.ts';
import type { Random } from './random.ts';
import type { CallTerms } from './session-manager.ts';
import type { Tool } from './tools.ts';
import type { Network, WireListener, WireSocket } from './wire.ts';

/**
 * CONTRACT of what stands at the edges of one call: a recorder, which passes everything on and keeps it, or a replay,
 * which has kept it and plays the other side. Nothing here throws or keeps a call waiting; a call without a tape knows
 * nothing of it.
 */

/** One request of a carrier and its answer. */
export interface WebhookExchange {
  /** Of which call, as soon as that is known. */
  concerns(callId: string): void;
  /** Called once, when the answer is handed over. */
  answered(answer: Answer): void;
}

/** A media stream that a carrier opens. */
export interface StreamTape {
  /** Stands between the socket and whoever listens. */
  listener(listener: WireListener): WireListener;
  socket(socket: WireSocket): WireSocket;
}

/** The edges of one call. */
export interface Tape {
  /** The call's own time: the same for everything that one thing from outside has caused, and what is put down with it. */
  readonly clock: Clock;
  /** How the call's providers are reached. */
  readonly network: Network;
  /** Of the call's ids and tokens. */
  readonly random: Random;
  /** Functions as the call runs them, in the same order. */
  tools(tools: readonly Tool[]): readonly Tool[];
  /** The handler of a program that takes the caller's keys. */
  digits(handle: NonNullable<AgentDigits['handle']>): NonNullable<AgentDigits['handle']>;
  /** Providers that have no network of their own are recorded by what they are told and what they tell. */
  provider(provider: RealtimeProvider): RealtimeProvider;
  /** The carrier opens a media stream with this request; undefined: it stays as it is. */
  stream(request: WebhookRequest): StreamTape | undefined;
  /** The upgrade was answered with this status, and there is no stream. */
  streamRefused(request: WebhookRequest, status: number): void;
  /** Somebody who is not in the call wants something of it, which is done next. */
  ordered(order: Order): void;
  observe(event: CallEvent): void;
  /** For a recording that can be listened to; undefined: none is made. */
  readonly ear?: EarTape | undefined;
  /** The call is over. Late webhooks and answers of the carrier may still come. */
  ended(): void;
}

/** Told what the caller hears and says, for a recording that is in time. `now` in ms of the tape's clock; bytes in the line's formats. */
export interface EarTape {
  /** A media stream begins, in the place of an earlier one if there was one; positions in what is sent count from 0 again. */
  stream(input: AudioFormat, output: AudioFormat, now: number): void;
  /**
   * What the caller says, in order; `bytes` is only valid during the call.
   * @param atMs its presentation time in the stream, by which holes are filled; undefined where the carrier tells none
   */
  said(bytes: Uint8Array, now: number, atMs: number | undefined): void;
  /** Handed to the carrier; what is heard of it is told by `heard` and `cleared`. */
  sent(bytes: Uint8Array, now: number): void;
  /** A mark says so: everything up to byte `position` of what was sent on this stream was heard; from there on it plays. */
  heard(position: number, now: number): void;
  /** The same, when marks do not come back, and with the time at which one would: it may be in the past or to come. */
  assumed(position: number, at: number): void;
  /** Of what was sent on this stream, nothing beyond byte `position` is heard. */
  cleared(position: number, now: number): void;
}

/** The tapes of a service. */
export interface Tapes {
  /** A request of a carrier has arrived and is about to be looked at; undefined: nobody wants to know. */
  webhook(carrier: CarrierName, route: WebhookRoute, request: WebhookRequest): WebhookExchange | undefined;
  /** A call is let in; undefined: it is not recorded. */
  begin(carrier: Carrier, call: IncomingCall, terms: CallTerms): Tape | undefined;
  /** Writes down what is open, at the latest after 5 s. Never rejects. */
  close(): Promise<void>;
}
