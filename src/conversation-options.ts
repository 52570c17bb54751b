import type { Agent, DigitContext } from './agents.ts';
import type { MachinePolicy } from './answering-machine.ts';
import type { AudioFormat } from './audio/format.ts';
import type { Transcoder } from './audio/transcode.ts';
import type { CallEventBody, EndReason } from './call-events.ts';
import type { Clock } from './clock.ts';
import type { Log } from './log.ts';
import type { Pacer } from './pacer.ts';
import type { ProviderNewsOptions } from './provider-news.ts';
import type { EarTape } from './tape.ts';
import type { ToolRunner } from './tool-runner.ts';

/** What a `Conversation` needs of the call that it is held in. */
export interface ConversationOptions extends ProviderNewsOptions {
  readonly call: DigitContext;
  readonly agent: Agent;
  readonly clock: Clock;
  readonly pacer: Pacer;
  readonly log: Log;
  readonly leadMs: number;
  /** For a recording that can be listened to; undefined: none is made. */
  readonly ear?: EarTape | undefined;
  /** The line needs some audio, if only silence, from its beginning. */
  readonly leadIn: boolean;
  readonly machine: MachinePolicy;
  /** See `AnsweringMachineOptions`. */
  readonly greetingEndTold: boolean;
  readonly tools: ToolRunner;
  readonly createTranscoder: (from: AudioFormat, to: AudioFormat) => Transcoder;
  /** Ms since the call began. */
  atMs(): number;
  /** Name of who holds the call, or had it last. */
  provider(): string;
  emit(event: CallEventBody): void;
  /** The conversation is over by its own course. */
  onOver(reason: EndReason): void;
  onFailed(thrown: unknown): void;
  /** The provider keeps still when it is its turn, for so many ms. */
  onProviderStill(forMs: number): void;
}
