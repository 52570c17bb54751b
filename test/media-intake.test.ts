import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type AudioFormat, MULAW_8K } from '../src/audio/format.ts';
import type { AnswerPlan, Carrier, CarrierCapabilities } from '../src/carrier.ts';
import type { LegEvent } from '../src/leg.ts';
import { MediaSockets } from '../src/media-socket.ts';
import { STREAM_BROKE } from '../src/notices.ts';
import { createKit, type KitOptions, REOPENING, TRANSFER } from './support/call-kit.ts';
import { noise, toBytes, toInt16 } from './support/signal.ts';

/** Real media sockets of a carrier whose messages are the events themselves as JSON, bytes as lists. */

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

function decode(text: string): readonly LegEvent[] {
  return [
    JSON.parse(text, (key, value: unknown) =>
      key === 'bytes' && Array.isArray(value) ? Uint8Array.from(value) : value,
    ),
  ];
}

async function serve(capabilities: Partial<CarrierCapabilities> = {}, options: KitOptions = {}) {
  const kit = createKit({
    ...options,
    capabilities,
    parts: { decode, encode: (command) => JSON.stringify(command), ...options.parts },
  });
  const { manager, clock, log, metrics, carrier } = kit;
  const media = new MediaSockets({
    carriers: new Map([[carrier.name, carrier]]),
    manager,
    clock,
    log,
    metrics,
  });
  const server = createServer().listen(0, '127.0.0.1');
  server.on('upgrade', media.onUpgrade);
  await once(server, 'listening');
  open.push(() => {
    media.close();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  /** Opens a stream with an address that the carrier was given. */
  const connect = async (plan: AnswerPlan) => {
    const path = new URL(plan.mediaUrl).pathname;
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
    open.push(() => socket.terminate());
    const closed = new Promise<number>((resolve) => {
      socket.on('close', resolve);
    });
    const commands: { type: string; digits?: string }[] = [];
    socket.on('message', (data) => commands.push(JSON.parse(String(data))));
    await once(socket, 'open');
    const send = (...events: readonly LegEvent[]): void => {
      for (const event of events) {
        socket.send(
          JSON.stringify(event, (_key, value) => (value instanceof Uint8Array ? [...value] : value)),
        );
      }
    };
    return { socket, closed, commands, send };
  };
  /** The status with which an upgrade is refused. */
  const refusal = (plan: AnswerPlan): Promise<number> =>
    new Promise((resolve) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}${new URL(plan.mediaUrl).pathname}`);
      socket.on('unexpected-response', (_request, response) => {
        resolve(response.statusCode ?? 0);
        response.destroy();
      });
      socket.on('error', () => undefined);
    });
  const streams = (): number => kit.events.filter(({ type }) => type === 'mediaStarted').length;
  return { kit, connect, refusal, streams };
}

function started(more: Partial<Extract<LegEvent, { type: 'started' }>> = {}): LegEvent {
  return {
    type: 'started',
    streamId: 'MZ1',
    callId: 'CA1',
    params: {},
    input: MULAW_8K,
    output: MULAW_8K,
    codec: 'PCMU',
    ...more,
  };
}

/** What JSON leaves of a codec that nobody can decode. */
const FOREIGN: LegEvent = started({ input: undefined, codec: 'G722/8000' });

function audio(order: number): LegEvent {
  return { type: 'audio', bytes: new Uint8Array(160).fill(order), atMs: order * 20, order };
}

describe('media that may come out of order', () => {
  it('is put in order, and what still waits for its place is heard before the end', async () => {
    const { kit, connect } = await serve({ orderedMedia: false });
    const call = kit.admit();
    await kit.provider.ready();
    const { send } = await connect(call.plan);
    send(started(), audio(2), audio(1), audio(4), audio(3), audio(5), audio(7), audio(8), {
      type: 'stopped',
    });
    await expect.poll(() => call.endReason).toBe('caller-hung-up');
    // The sixth is missing: in its place there is silence.
    expect(kit.provider.audio.filter((_, i) => i % 160 === 0)).toEqual([1, 2, 3, 4, 5, 0xff, 7, 8]);
  });

  it('is read in the byte order that it turns out to have', async () => {
    const l16: AudioFormat = { encoding: 'pcm16', rate: 8000 };
    const { kit, connect } = await serve({ orderedMedia: false });
    kit.provider.format = l16;
    const call = kit.admit();
    await kit.provider.ready();
    const { send } = await connect(call.plan);
    const little = toBytes(toInt16(noise(1600, 900)));
    const big = Uint8Array.from(Buffer.from(little).swap16());
    send(started({ input: l16, byteOrder: 'detect' }));
    for (let at = 0; at < big.length; at += 320) {
      const order = at / 320 + 1;
      send({ type: 'audio', bytes: big.subarray(at, at + 320), atMs: order * 20, order });
    }
    await expect.poll(() => kit.provider.audio.length).toBe(little.length);
    expect(Buffer.from(kit.provider.audio).equals(little)).toBe(true);
  });
});

describe('media of a carrier that has a short way for it', () => {
  /** `~` and a digit is a message of audio. What is asked of the carrier is kept. */
  const shortcut = () => {
    const asked: string[] = [];
    const parts: Partial<Carrier> = {
      decode: (text) => {
        asked.push(text);
        return decode(text);
      },
      decodeAudio: (text) => {
        if (text.startsWith('!')) throw new Error('never asked of what is binary');
        if (!text.startsWith('~')) return undefined;
        return { type: 'audio', bytes: new Uint8Array(160).fill(Number(text.slice(1))), atMs: undefined };
      },
      mediaEncoder: (leg) => (bytes) =>
        JSON.stringify({ type: `audio for ${leg.streamId}`, bytes: [...bytes] }),
    };
    return { asked, parts };
  };

  it('goes that way, and everything else the other one', async () => {
    const { asked, parts } = shortcut();
    const { kit, connect } = await serve({}, { parts });
    const call = kit.admit();
    await kit.provider.ready();
    const { socket, send } = await connect(call.plan);
    // Before the stream has begun there is nobody who would hear it.
    socket.send('~1');
    send(started());
    for (const text of ['~2', '~3']) socket.send(text);
    send(audio(4));
    socket.send('~5');
    send({ type: 'stopped' });
    await expect.poll(() => call.endReason).toBe('caller-hung-up');
    expect(kit.provider.audio.filter((_, i) => i % 160 === 0)).toEqual([2, 3, 4, 5]);
    expect(asked.map((text) => (JSON.parse(text) as LegEvent).type)).toEqual(['started', 'audio', 'stopped']);
  });

  it('is put in order as well, and keeps its place', async () => {
    const { parts } = shortcut();
    const decodeAudio = (text: string) => {
      const read = parts.decodeAudio?.(text);
      return read === undefined ? undefined : { ...read, order: Number(text.slice(1)) };
    };
    const { kit, connect } = await serve({ orderedMedia: false }, { parts: { ...parts, decodeAudio } });
    const call = kit.admit();
    await kit.provider.ready();
    const { socket, send } = await connect(call.plan);
    socket.send('~9');
    send(started());
    for (const text of ['~1', '~3', '~2', '~2', '~4']) socket.send(text);
    send({ type: 'stopped' });
    await expect.poll(() => call.endReason).toBe('caller-hung-up');
    expect(kit.provider.audio.filter((_, i) => i % 160 === 0)).toEqual([1, 2, 3, 4]);
  });

  it('makes good for messages before it that could not be read', async () => {
    const { asked, parts } = shortcut();
    const { kit, connect } = await serve({}, { parts });
    const call = kit.admit();
    await kit.provider.ready();
    const { socket, closed, send } = await connect(call.plan);
    send(started());
    for (const text of [...Array(49).fill('?'), '~1', ...Array(49).fill('?'), '~2']) socket.send(text);
    await expect.poll(() => kit.provider.audio.length).toBe(320);
    for (let i = 0; i < 50; i++) socket.send(Buffer.from('!'));
    expect(await closed).toBe(1008);
    expect(asked).toHaveLength(99);
  });

  it('is written in the way that was made for its stream, and commands are not', async () => {
    const { kit, connect } = await serve({}, shortcut());
    const call = kit.admit();
    await kit.provider.ready();
    const { send, commands } = await connect(call.plan);
    send(started({ streamId: 'MZ7' }));
    await expect.poll(() => kit.events.map(({ type }) => type)).toContain('mediaStarted');
    kit.provider.speak('r', 'a', 100);
    await expect.poll(() => commands.map(({ type }) => type)).toContain('mark');
    const kinds = new Set(commands.map(({ type }) => type));
    expect([...kinds].sort()).toEqual(['audio for MZ7', 'mark']);
  });
});

describe('a socket of a carrier that opens its stream again', () => {
  it('joins the same call while the old one is still open, which is closed', async () => {
    const { kit, connect, streams } = await serve(REOPENING);
    const call = kit.admit();
    await kit.provider.ready();
    const first = await connect(call.plan);
    first.send(started());
    await expect.poll(streams).toBe(1);
    kit.provider.speak('r', 'a', 4000);
    const second = await connect(call.plan);
    second.send(started({ streamId: 'MZ2' }));
    expect(await first.closed).toBe(1000);
    await expect.poll(streams).toBe(2);
    expect(kit.provider.texts.map(({ text }) => text)).toEqual([STREAM_BROKE]);
    kit.provider.speak('r2', 'b', 200);
    await expect.poll(() => second.commands.some(({ type }) => type === 'audio')).toBe(true);
    expect(call.endReason).toBeUndefined();
    // Cleanly closed it is the end, with no word before it.
    second.socket.close(1000);
    await expect.poll(() => call.endReason).toBe('caller-hung-up');
  });

  it('is not waited for when the same token was used three times', async () => {
    const { kit, connect, refusal, streams } = await serve(REOPENING);
    const call = kit.admit();
    await kit.provider.ready();
    for (let i = 1; i <= 3; i++) {
      const { socket, send } = await connect(call.plan);
      send(started());
      await expect.poll(streams).toBe(i);
      socket.terminate();
      await expect.poll(() => kit.logged('the media stream broke')).toBe(i);
    }
    expect(await refusal(call.plan)).toBe(403);
    await kit.pass(8500);
    expect(call.endReason).toBe('media-lost');
  });

  it('takes keys for the other end', async () => {
    const { kit, connect, streams } = await serve(REOPENING);
    const call = kit.admit();
    await kit.provider.ready();
    const { send, commands } = await connect(call.plan);
    send(started());
    await expect.poll(streams).toBe(1);
    await call.session.sendDigits('12#');
    await expect
      .poll(() => commands.filter(({ type }) => type === 'digits'))
      .toEqual([{ type: 'digits', digits: '12#' }]);
  });
});

describe('a socket with a codec that nobody can decode', () => {
  it('is closed without a word of blame at first, and given up the second time', async () => {
    const { kit, connect, refusal } = await serve();
    const call = kit.admit();
    await kit.provider.ready();
    const old = call.plan;
    const first = await connect(old);
    first.send(FOREIGN, audio(1));
    expect(await first.closed).toBe(1000);
    expect(call.ask()).toMatchObject({ type: 'stream', plan: { plainCodec: true } });
    expect(await refusal(old)).toBe(403);
    const second = await connect(call.plan);
    second.send(FOREIGN);
    expect(await second.closed).toBe(1008);
    expect(call.endReason).toBe('media-lost');
    expect(kit.provider.audio).toEqual([]);
  });
});

describe('a socket after a transfer that came to nothing', () => {
  it('is a new one; the old address opens nothing any more', async () => {
    const { kit, connect, refusal, streams } = await serve();
    const call = kit.admit();
    await kit.provider.ready();
    const old = call.plan;
    const first = await connect(old);
    first.send(started());
    await expect.poll(streams).toBe(1);
    await call.session.transfer(TRANSFER);
    call.ask();
    first.send({ type: 'stopped' });
    expect(await first.closed).toBe(1000);
    expect(call.ask({ transfer: 'busy' })).toMatchObject({ type: 'stream' });
    expect(await refusal(old)).toBe(403);
    const second = await connect(call.plan);
    second.send(started({ streamId: 'MZ2' }));
    await expect.poll(streams).toBe(2);
    second.send({ type: 'stopped' });
    await expect.poll(() => call.endReason).toBe('caller-hung-up');
  });
});
