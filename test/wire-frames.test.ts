import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Duplex } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { FrameReader } from '../src/wire/frame-reader.ts';
import { systemNetwork, type WireListener, type WireSocket, wireOf } from '../src/wire.ts';

/** A socket whose other end is the test. */
class FakeSocket extends Duplex {
  readonly written: Buffer[] = [];
  override _read(): void {}
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written.push(chunk);
    done();
  }
}

interface FrameShape {
  readonly first: number;
  readonly content: Buffer;
  readonly masked: boolean;
}

function frame({ first, content, masked }: FrameShape): Buffer {
  const { length } = content;
  const bit = masked ? 0x80 : 0;
  const head =
    length < 126
      ? Buffer.from([first, bit | length])
      : length < 65_536
        ? Buffer.from([first, bit | 126, length >> 8, length & 0xff])
        : Buffer.concat([Buffer.from([first, bit | 127, 0, 0, 0, 0]), uint32(length)]);
  if (!masked) return Buffer.concat([head, content]);
  const key = Buffer.from([0x12, 0xa4, 0x56, 0xf8]);
  return Buffer.concat([head, key, content.map((byte, i) => byte ^ (key[i % 4] ?? 0))]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

const MOST = 70_000;

/** What a server makes of these pieces: with the short way, or by the library alone. */
async function serverHears(pieces: readonly Buffer[], short: boolean): Promise<readonly string[]> {
  const heard: string[] = [];
  const server = new WebSocketServer({ noServer: true, maxPayload: MOST });
  const socket = new FakeSocket();
  const headers = {
    upgrade: 'websocket',
    connection: 'upgrade',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'sec-websocket-version': '13',
  };
  const request = { method: 'GET', headers, url: '/' } as unknown as IncomingMessage;
  server.handleUpgrade(request, socket, Buffer.alloc(0), (webSocket) => {
    listen(webSocket, socket, heard, short ? { masked: true } : undefined);
  });
  return await feed(socket, pieces, heard);
}

/** The same for a client. */
async function clientHears(pieces: readonly Buffer[], short: boolean): Promise<readonly string[]> {
  const heard: string[] = [];
  const socket = new FakeSocket();
  const webSocket = new WebSocket('ws://127.0.0.1:9/', {
    maxPayload: MOST,
    perMessageDeflate: false,
    createConnection: () => socket as never,
  });
  webSocket.once('open', () => listen(webSocket, socket, heard, short ? { masked: false } : undefined));
  while (socket.written.length === 0) await new Promise((resolve) => setImmediate(resolve));
  const key = /sec-websocket-key: (\S+)/i.exec(String(Buffer.concat(socket.written)))?.[1] ?? '';
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  const open = once(webSocket, 'open');
  socket.push(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  await open;
  return await feed(socket, pieces, heard);
}

function listen(
  webSocket: WebSocket,
  socket: Duplex,
  heard: string[],
  short: { readonly masked: boolean } | undefined,
): void {
  webSocket.on('message', (data, isBinary) => heard.push(`${isBinary ? 'binary' : 'text'} ${String(data)}`));
  webSocket.on('ping', (data) => heard.push(`ping ${String(data)}`));
  webSocket.on('pong', (data) => heard.push(`pong ${String(data)}`));
  webSocket.on('error', (error) => heard.push(`error ${error.message}`));
  webSocket.on('close', (code, reason) => heard.push(`close ${code} ${String(reason)}`));
  if (short === undefined) return;
  const listener = {
    message(text: string): void {
      heard.push(`text ${text}`);
      shortcuts += 1;
    },
  };
  expect(FrameReader.install(webSocket, socket, { ...short, most: MOST, listener })).toBe(true);
}

let shortcuts = 0;

async function feed(
  socket: FakeSocket,
  pieces: readonly Buffer[],
  heard: string[],
): Promise<readonly string[]> {
  await new Promise((resolve) => setImmediate(resolve));
  for (const piece of pieces) {
    if (socket.destroyed) break;
    // A copy: a server unmasks in place.
    socket.push(Buffer.from(piece));
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (!socket.destroyed) socket.push(null);
  socket.destroy();
  if (!socket.closed) await once(socket, 'close');
  await new Promise((resolve) => setImmediate(resolve));
  return heard;
}

/** A small generator of numbers, the same for the same seed. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const WORDS = [
  '',
  'a',
  '{"event":"media"}',
  'grüße',
  '電話',
  'x'.repeat(124),
  'y'.repeat(125),
  'z'.repeat(126),
];

type Below = (below: number) => number;

/** The frames of one message, as they come and as they should not. */
function message(next: Below, masked: boolean): readonly FrameShape[] {
  const content = Buffer.from(
    next(6) === 0 ? 'long '.repeat(next(14_500)) : (WORDS[next(WORDS.length)] ?? ''),
  );
  const ping: FrameShape = { first: 0x89, content: content.subarray(0, 125), masked };
  const kinds: readonly (readonly FrameShape[])[] = [
    [{ first: 0x82, content, masked }],
    [ping],
    [{ ...ping, first: 0x8a }],
    [
      { first: 0x01, content, masked },
      { first: 0x80, content, masked },
    ],
    [
      { first: 0x01, content, masked },
      ping,
      { first: 0x00, content, masked },
      { first: 0x80, content, masked },
    ],
    [{ first: 0x02, content, masked }, ...(next(3) > 0 ? [{ first: 0x80, content, masked }] : [])],
    [{ first: 0x81, content: Buffer.from([0x22, 0xff, 0xfe, 0x22]), masked }],
    [{ first: 0x81, content, masked: next(3) > 0 ? masked : !masked }],
    [{ first: next(3) > 0 ? 0x81 : 0xc1, content, masked }],
    [{ first: 0x81, content: Buffer.alloc(MOST - 3 + next(5), 0x61), masked }],
    [{ first: next(2) > 0 ? 0x81 : 0x88, content: Buffer.from([0x03, 0xe8, 0x62, 0x79, 0x65]), masked }],
  ];
  return next(5) > 0 ? [{ first: 0x81, content, masked }] : (kinds[next(kinds.length)] ?? []);
}

function traffic(seed: number, masked: boolean): readonly Buffer[] {
  const next = numbers(seed);
  const messages = Array.from({ length: 1 + next(12) }, () => message(next, masked));
  const whole = Buffer.concat(messages.flat().map(frame));
  // In one piece, in pieces of a few bytes as long as that ends, or between.
  const longest = [whole.length, Math.max(5, whole.length / 400), 300, 20_000][next(4)] ?? whole.length;
  const pieces: Buffer[] = [];
  for (let at = 0; at < whole.length; ) {
    const end = at + 1 + next(longest);
    pieces.push(whole.subarray(at, end));
    at = end;
  }
  return pieces;
}

describe('frames that take the short way', () => {
  it('are heard by a server as the library hears them, however they are cut', async () => {
    shortcuts = 0;
    for (let seed = 1; seed <= 300; seed++) {
      const pieces = traffic(seed, true);
      expect(await serverHears(pieces, true), `seed ${seed}`).toEqual(await serverHears(pieces, false));
    }
    expect(shortcuts).toBeGreaterThan(150);
  });

  it('are heard by a client as the library hears them, however they are cut', async () => {
    shortcuts = 0;
    for (let seed = 1; seed <= 300; seed++) {
      const pieces = traffic(seed, false);
      expect(await clientHears(pieces, true), `seed ${seed}`).toEqual(await clientHears(pieces, false));
    }
    expect(shortcuts).toBeGreaterThan(150);
  });

  it('are most of a telephone call', async () => {
    shortcuts = 0;
    const media = frame({
      first: 0x81,
      content: Buffer.from(`{"event":"media","x":"${'A'.repeat(216)}"}`),
      masked: true,
    });
    const heard = await serverHears([Buffer.concat([media, media]), media], true);
    expect(heard.filter((one) => one.startsWith('text'))).toHaveLength(3);
    expect(shortcuts).toBe(3);
  });
});

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A server of ours with a client of ours, and what either heard. */
async function pair(): Promise<{
  readonly client: WireSocket;
  readonly server: WireSocket;
  readonly atClient: string[];
  readonly atServer: string[];
}> {
  const atServer: string[] = [];
  const atClient: string[] = [];
  const webSockets = new WebSocketServer({ noServer: true });
  const http = createServer();
  const serverSide = new Promise<WireSocket>((resolve) => {
    http.on('upgrade', (request, socket, head) => {
      webSockets.handleUpgrade(request, socket, head, (webSocket) => {
        resolve(wireOf(webSocket, socket, 1_000_000, listenerOf(atServer)));
      });
    });
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  closers.push(() => new Promise((resolve) => http.close(resolve)));
  const url = new URL(`ws://127.0.0.1:${(http.address() as AddressInfo).port}/`);
  const client = await new Promise<WireSocket>((resolve) => {
    const wire: WireSocket = systemNetwork.dial(
      url,
      { headers: {}, maxPayload: 1_000_000 },
      {
        ...listenerOf(atClient),
        opened: () => resolve(wire),
      },
    );
  });
  const server = await serverSide;
  closers.push(
    () => client.terminate(),
    () => server.terminate(),
  );
  return { client, server, atClient, atServer };
}

function listenerOf(heard: string[]): WireListener {
  return {
    opened() {},
    message: (text, isBinary) => heard.push(`${isBinary ? 'binary' : 'text'} ${text}`),
    pinged: () => heard.push('ping'),
    pong: (data) => heard.push(`pong ${data}`),
    refused() {},
    failed: (error) => heard.push(`error ${error.message}`),
    closed: (code, reason) => heard.push(`closed ${code} ${reason}`),
  };
}

const SENT = [
  '',
  'a',
  ...[124, 125, 126, 127, 128, 129, 130, 131, 132, 133, 1334, 4096, 65_534, 65_535, 65_536, 100_000].map(
    (length) => 'abcdefghij'.repeat(Math.ceil(length / 10)).slice(0, length),
  ),
  'grüße',
  `${'a'.repeat(200)}é`,
  '電話 ☎',
  '{"event":"media"}',
];

describe('messages that are written in one piece', () => {
  it('arrive as they were sent, in order, from both sides, with pings in between', async () => {
    const { client, server, atClient, atServer } = await pair();
    let flushed = 0;
    for (const text of [...SENT, ...SENT.toReversed()]) {
      client.send(text, () => {
        flushed += 1;
      });
      server.send(text);
      server.ping(`${text.length}`);
    }
    await until(() => atClient.length >= 4 * SENT.length && atServer.length >= 4 * SENT.length);
    const texts = [...SENT, ...SENT.toReversed()].map((text) => `text ${text}`);
    expect(atClient.filter((one) => one !== 'ping')).toEqual(texts);
    expect(atServer.filter((one) => !one.startsWith('pong'))).toEqual(texts);
    expect(atServer.filter((one) => one.startsWith('pong'))).toEqual(
      texts.map((text) => `pong ${text.length - 'text '.length}`),
    );
    expect(flushed).toBe(2 * SENT.length);
    expect(client.bufferedAmount).toBe(0);
  });

  it('come before the goodbye, and none after it', async () => {
    const { client, atServer } = await pair();
    client.send('last');
    client.close(1000, 'bye');
    client.send('too late');
    await until(() => atServer.some((one) => one.startsWith('closed')));
    expect(atServer).toEqual(['text last', 'closed 1000 bye']);
  });

  it('count as waiting while the other end does not read', async () => {
    const { client, server } = await pair();
    closers.push(() => client.terminate());
    const text = 'a'.repeat(60_000);
    let flushed = 0;
    for (let i = 0; i < 400; i++) {
      server.send(text, () => {
        flushed += 1;
      });
    }
    expect(server.bufferedAmount).toBeGreaterThan(1_000_000);
    await until(() => flushed === 400);
    expect(server.bufferedAmount).toBe(0);
  });
});

async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setImmediate(resolve));
}
