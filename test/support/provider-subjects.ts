import type { Clock } from '../../src/clock.ts';
import type { ProviderCapabilities, RealtimeProvider } from '../../src/provider.ts';

/** Every provider beside its simulator, behind one set of names, so that one suite can hold all to the same sentences. */

/** What the model says or does in one answer. */
export interface Answer {
  readonly transcript?: string;
  readonly audioMs?: number;
  /** Samples to be heard instead of babble: 24 kHz PCM16. */
  readonly audio?: Int16Array;
  readonly toolCalls?: readonly { readonly name: string; readonly args: object; readonly callId?: string }[];
  /** How much faster than it is heard it is sent; default: all at once. */
  readonly speedFactor?: number;
}

/** What the simulators call a fault; those that all of them have. */
export interface Fault {
  readonly when: { readonly after: string; readonly value?: number };
  readonly do: 'drop' | 'stall' | 'mute' | 'malformed' | 'unknown-event' | 'huge';
  readonly bytes?: number;
}

/** Why a service does not open a session. */
export const REFUSALS = ['auth', 'config', 'quota', 'rate', 'down'] as const;
export type Refusal = (typeof REFUSALS)[number];

export interface Script {
  /** In order; then each answer is empty. */
  readonly answers?: readonly Answer[];
  /** In the place of `answers`: what becomes of the next answer, whatever it is to. */
  readonly answer?: () => Answer;
  /** What is written down of the caller's turns, in order. */
  readonly heard?: readonly string[];
  readonly faults?: readonly Fault[];
  readonly refuse?: Refusal;
  readonly handshakeDelayMs?: number;
  readonly keepAudio?: boolean;
  readonly connectTimeoutMs?: number;
  /** The session announces its end so many ms after it began, in whatever way its service has. */
  readonly expiringAfterMs?: number;
  /** Of the service; default: that of the system. */
  readonly clock?: Clock;
}

/** What the model knows of the conversation, as far as a script can see it. */
export interface Seen {
  readonly role: string;
  readonly text: string;
}

/** The other end of one session. */
export interface Peer {
  seen(): readonly Seen[];
  toolResults(): readonly { readonly callId: string; readonly output: string }[];
  /** What the service objected to, if anything. */
  complaints(): readonly unknown[];
  /** Messages as they came, without the bytes of audio. */
  readonly received: readonly Readonly<Record<string, unknown>>[];
  readonly receivedAudioMs: number;
  /** All of it, in the input format of the session; empty without `keepAudio`. */
  receivedAudio(): Uint8Array;
  /** The service calls a function off by itself; undefined: it has no words for that. */
  readonly callOff?: (callId: string) => void;
  readonly isOpen: boolean;
  readonly closed: Promise<unknown>;
  /** Cuts the connection without a word. */
  drop(): void;
}

export interface Stage extends AsyncDisposable {
  /** What came that is no message of a WebSocket. */
  sent?(): readonly unknown[];
  /** Host and port of the simulator. */
  readonly host: string;
  readonly provider: RealtimeProvider;
  nextPeer(): Promise<Peer>;
}

export interface Subject {
  readonly name: string;
  readonly capabilities: ProviderCapabilities;
  /** The maker's own type of what is sent; undefined: the maker publishes none. */
  readonly published: { readonly module: string; readonly type: string } | undefined;
  /** What ends a turn: silence of the caller, in ms. */
  readonly silenceMs: number;
  start(script: Script): Promise<Stage>;
}

/** What all simulators tell of a connection. */
interface SimulatedConnection {
  readonly received: readonly { readonly event: Readonly<Record<string, unknown>> }[];
  readonly receivedAudioMs: number;
  receivedAudio(): Uint8Array;
  readonly isOpen: boolean;
  readonly closed: Promise<unknown>;
  drop(): void;
}

type PeerBase = Pick<Peer, 'received' | 'receivedAudioMs' | 'receivedAudio' | 'isOpen' | 'closed' | 'drop'>;

/** That part of a peer which is the same everywhere; it always tells how things are now. */
export class PeerOn implements PeerBase {
  readonly #connection: SimulatedConnection;

  constructor(connection: SimulatedConnection) {
    this.#connection = connection;
  }

  get received(): readonly Readonly<Record<string, unknown>>[] {
    return this.#connection.received.map(({ event }) => event);
  }

  get receivedAudioMs(): number {
    return this.#connection.receivedAudioMs;
  }

  get isOpen(): boolean {
    return this.#connection.isOpen;
  }

  get closed(): Promise<unknown> {
    return this.#connection.closed;
  }

  receivedAudio(): Uint8Array {
    return this.#connection.receivedAudio();
  }

  drop(): void {
    this.#connection.drop();
  }
}

/** Answers and transcripts of a script, in order, as every simulator asks for them. */
export function scripted({ answers = [], answer, heard = [] }: Script) {
  let answered = 0;
  let turns = 0;
  return {
    respond: (): Answer => {
      if (answer !== undefined) return answer();
      answered += 1;
      return answers[answered - 1] ?? {};
    },
    hear: (): { transcript: string } => {
      turns += 1;
      return { transcript: heard[turns - 1] ?? '' };
    },
  };
}
