import type { AudioFormat } from '../../src/audio/format.ts';
import { bytesPerMs, silenceByte } from '../../src/audio/format.ts';
import { encodeG711 } from '../../src/audio/g711.ts';
import type { ConnectRequest, ProviderEvent, ProviderSession } from '../../src/provider.ts';
import { createOpenAiLiveProvider, type OpenAiLiveOptions } from '../../src/providers/openai-live.ts';
import { KEY, type Message, type Peer, startServer } from './openai-peer.ts';
import { kept, requestOf } from './provider-request.ts';
import { toBytes, tone } from './signal.ts';
import { VirtualClock } from './virtual-clock.ts';

/** A Live server of which the test writes every message, and a client of it. */

export interface Attempt {
  readonly clock: VirtualClock;
  readonly events: ProviderEvent[];
  readonly abort: AbortController;
  readonly connected: Promise<ProviderSession>;
}

export function dial(
  url: string,
  over: Partial<ConnectRequest> = {},
  options: Partial<OpenAiLiveOptions> = {},
): Attempt {
  const clock = new VirtualClock();
  const events: ProviderEvent[] = [];
  const abort = new AbortController();
  const provider = createOpenAiLiveProvider({ apiKey: KEY, baseUrl: url, ...options });
  const connected = provider.connect(
    requestOf({ clock, ...over }),
    (event) => events.push(kept(event)),
    abort.signal,
  );
  connected.catch(() => undefined);
  return { clock, events, abort, connected };
}

export interface Line extends Attempt, AsyncDisposable {
  readonly peer: Peer;
  readonly session: ProviderSession;
  /** The `session` of `session.start`. */
  readonly asked: Message;
  of<T extends ProviderEvent['type']>(type: T): Extract<ProviderEvent, { type: T }>[];
  /** Sends output in frames of 100 ms, in real time. */
  stream(audio: Buffer): Promise<void>;
  /** What the model is told, by kind. */
  told(kind: 'commentary' | 'instructions' | 'thinking'): unknown[];
}

export const LIVE_ID = 'live_1';

/** The server is stopped by `cleanUp` of the other peer. */
export async function open(
  over: Partial<ConnectRequest> = {},
  options: Partial<OpenAiLiveOptions> = {},
  extra: Message = {},
): Promise<Line> {
  const server = await startServer();
  const attempt = dial(server.url, over, options);
  const peer = await server.peer();
  const start = await peer.next('session.start');
  const asked = start['session'] as Message;
  const epochS = Math.floor(attempt.clock.epoch() / 1000);
  peer.say({
    type: 'session.started',
    event_id: 'event_0',
    session: { ...asked, id: LIVE_ID, status: 'active', expires_at: epochS + 7_200, ...extra },
  });
  const session = await attempt.connected;
  return {
    ...attempt,
    peer,
    session,
    asked,
    of: (type) => attempt.events.filter((event): event is never => event.type === type),
    told: (kind) => peer.all(`session.${kind}.append`).map(({ content }) => content),
    async stream(audio) {
      const size = 100 * bytesPerMs(session.output);
      for (let at = 0; at < audio.length; at += size) {
        attempt.clock.advance(100);
        await peer.tell(delta(audio.subarray(at, at + size)));
      }
    },
    async [Symbol.asyncDispose]() {
      const closing = session.close('test over');
      peer.socket.terminate();
      await closing;
    },
  };
}

export function delta(audio: Buffer): Message {
  return { type: 'session.output_audio.delta', delta: audio.toString('base64') };
}

export function words(
  side: 'input' | 'output',
  text: string,
  startMs: number,
  endMs = startMs + 200,
): Message {
  return {
    type: `session.${side}_transcript.delta`,
    event_id: `event_${side}_${startMs}_${text}`,
    delta: text,
    start_ms: startMs,
    end_ms: endMs,
  };
}

export function appended(kind: string, eventId: unknown): Message {
  return {
    type: `session.${kind}.appended`,
    event_id: `event_${String(eventId)}`,
    client_event_id: eventId,
    start_ms: 0,
    end_ms: 200,
  };
}

/** An event of the Responses backend. */
export function backend(event: Message, delegation_id = 'item_d'): Message {
  return { type: 'response.event', delegation_id, event };
}

export const created = (id: string): Message => backend({ type: 'response.created', response: { id } });

export function called(call_id: string, args = '{}', status = 'completed'): Message {
  return backend({
    type: 'response.output_item.done',
    output_index: 1,
    item: { type: 'function_call', id: `fc_${call_id}`, call_id, name: 'lookup', arguments: args, status },
  });
}

export function ended(id: string, status = 'completed', more: Message = {}): Message {
  return backend({ type: `response.${status}`, response: { id, status, output: [], ...more } });
}

export function speech(ms: number, format: AudioFormat): Buffer {
  const { rate, encoding } = format;
  const pcm = Int16Array.from(tone((rate * ms) / 1000, { hz: 300, rate, amplitude: 8_000 }), Math.round);
  return Buffer.from(encoding === 'pcm16' ? toBytes(pcm) : encodeG711(encoding, pcm));
}

export function quiet(ms: number, format: AudioFormat): Buffer {
  return Buffer.alloc(ms * bytesPerMs(format), silenceByte(format));
}
