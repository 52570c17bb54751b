import { describe, expect, it } from 'vitest';
import { MULAW_8K } from '../src/audio/format.ts';
import { ProviderSocket } from '../src/providers/common/socket.ts';
import { SpeechDecoder } from '../src/providers/common/speech-decoder.ts';
import { SeededRandom } from '../src/recording/seeded-random.ts';
import type { Network, WireListener, WireSocket } from '../src/wire.ts';
import { VirtualClock } from './support/virtual-clock.ts';

interface Waiting {
  readonly bytes: number;
  readonly flushed: (() => void) | undefined;
}

/** A socket whose way to the kernel opens when the test says so. */
class SlowWire implements WireSocket {
  readonly isOpen = true;
  readonly sent: string[] = [];
  readonly #waiting: Waiting[] = [];
  /** Nothing is in the way: a message leaves before `send` returns, as with a healthy connection. */
  isFree = true;
  /** Sends that asked to be told when they have left. */
  asked = 0;

  get bufferedAmount(): number {
    return this.#waiting.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  get count(): number {
    return this.#waiting.length;
  }

  /** A message is waiting that tells when it has left. */
  get tells(): boolean {
    return this.#waiting.some(({ flushed }) => flushed !== undefined);
  }

  send(text: string, flushed?: () => void): void {
    this.sent.push(text);
    if (flushed !== undefined) this.asked += 1;
    if (this.isFree && this.#waiting.length === 0) flushed?.();
    else this.#waiting.push({ bytes: text.length + 8, flushed });
  }

  /** The oldest message leaves. */
  leave(): void {
    this.#waiting.shift()?.flushed?.();
  }

  ping(): void {}
  close(): void {}
  terminate(): void {}
}

interface Line {
  readonly wire: SlowWire;
  readonly socket: ProviderSocket;
  readonly dropped: number[];
  /** All audio that was sent, in order. */
  audio(): Buffer;
}

function line(highWaterMs: number, backlogMs: number): Line {
  const wire = new SlowWire();
  const dropped: number[] = [];
  let listener: WireListener | undefined;
  const network: Network = {
    dial: (_url, _options, given) => {
      listener = given;
      return wire;
    },
    stream: () => {
      throw new Error('not here');
    },
  };
  const socket = new ProviderSocket(
    {
      url: new URL('ws://provider.example/'),
      headers: {},
      network,
      clock: new VirtualClock(),
      envelope: { head: '{"audio":"', tail: '"}' },
      highWaterMs,
      backlogMs,
      decoder: new SpeechDecoder(),
    },
    {
      opened: () => undefined,
      text: () => undefined,
      audioDropped: (ms) => dropped.push(ms),
      ended: () => undefined,
    },
  );
  listener?.opened();
  socket.useAudio(MULAW_8K);
  const audio = (): Buffer =>
    Buffer.concat(
      wire.sent
        .filter((text) => text.startsWith('{"audio"'))
        .map((text) => Buffer.from((JSON.parse(text) as { audio: string }).audio, 'base64')),
    );
  return { wire, socket, dropped, audio };
}

/** 20 ms. */
const frame = (at: number): Uint8Array => new Uint8Array(160).fill(at % 251);

describe('the socket to a provider', () => {
  it('asks nothing of a connection that takes every frame at once', () => {
    const { wire, socket, audio } = line(2_000, 2_000);
    for (let at = 0; at < 500; at++) expect(socket.sendAudio(frame(at))).toBe(true);
    expect(wire.asked).toBe(0);
    expect(audio().length).toBe(500 * 160);
  });

  it('sends what waits outside when the socket has room, though nothing more is said', () => {
    const { wire, socket, audio, dropped } = line(100, 1_000);
    wire.isFree = false;
    for (let at = 0; at < 20; at++) expect(socket.sendAudio(frame(at))).toBe(true);
    expect(wire.count).toBeLessThan(8);
    while (wire.count > 0) wire.leave();
    expect([...audio()]).toEqual(Array.from({ length: 20 }, (_, at) => [...frame(at)]).flat());
    expect(dropped).toEqual([]);
  });

  it('sends what waits behind a single message that fills the socket', () => {
    const { wire, socket, audio } = line(20, 1_000);
    wire.isFree = false;
    socket.sendAudio(new Uint8Array(1_600).fill(1));
    expect(socket.sendAudio(frame(2))).toBe(true);
    expect(wire.count).toBe(1);
    wire.leave();
    expect(audio().length).toBe(1_760);
  });

  it('does not keep the sound that it was lent', () => {
    const { socket, audio } = line(2_000, 2_000);
    const lent = new Uint8Array(160);
    for (const value of [1, 2, 3]) socket.sendAudio(lent.fill(value));
    expect([audio()[0], audio()[160], audio()[320]]).toEqual([1, 2, 3]);
  });

  it('loses nothing but what it says is dropped, whatever the connection does', () => {
    for (let round = 0; round < 300; round++) {
      const { given, heard, droppedMs } = chance(`round ${round}`);
      expect({ round, bytes: heard.length + droppedMs * 8 }).toEqual({ round, bytes: given });
      expect(heard.every((byte, i) => byte >= (heard[i - 1] ?? 0))).toBe(true);
    }
  });
});

/** A call over a connection that comes and goes, until nobody says anything any more. */
function chance(seed: string): {
  readonly given: number;
  readonly heard: readonly number[];
  readonly droppedMs: number;
} {
  const random = new SeededRandom(seed);
  const upTo = (most: number): number => Math.floor(random.fraction() * most);
  const { wire, socket, audio, dropped } = line(20 + upTo(10) * 50, 50 + upTo(20) * 50);
  let given = 0;
  const say = (ms: number, at: number): void => {
    given += ms * 8;
    socket.sendAudio(new Uint8Array(ms * 8).fill(at));
  };
  for (let at = 0; at < 120; at++) {
    const dice = upTo(12);
    if (dice === 0) wire.isFree = !wire.isFree;
    else if (dice < 4) wire.leave();
    else if (dice === 4) socket.send('{"control":"message"}');
    else say(dice === 5 ? upTo(600) : upTo(4) * 20, at);
  }
  while (wire.count > 0) wire.leave();
  return { given, heard: [...audio()], droppedMs: dropped.reduce((sum, ms) => sum + ms, 0) };
}
