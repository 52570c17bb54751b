import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { lineCheckAgent } from '../src/agents.ts';
import type { CallEvent } from '../src/call-events.ts';
import { loadConfig } from '../src/config.ts';
import { createLog } from '../src/log.ts';
import { createBridge } from '../src/server.ts';
import { ManualProvider } from './support/manual-provider.ts';
import { VirtualClock } from './support/virtual-clock.ts';

/** The media socket against a client that does what no carrier should. */

const AGENT = lineCheckAgent({
  instructions: undefined,
  greeting: 'Hello.',
  voice: undefined,
  language: undefined,
  audio: 'passthrough',
  maxCallMs: 3_600_000,
  silenceMs: 0,
});

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing[Symbol.asyncDispose]();
});

async function dial() {
  const clock = new VirtualClock();
  const provider = new ManualProvider();
  const events: CallEvent[] = [];
  const bridge = await createBridge({
    config: loadConfig({ PORT: '0', HOST: '127.0.0.1' }),
    provider,
    agent: AGENT,
    clock,
    insecure: true,
    log: createLog('silent'),
    observe: (_callId, event) => events.push(event),
  });
  open.push(bridge);
  const url = await bridge.listen();
  const webhook = await fetch(`${url}/voice/twilio`, {
    method: 'POST',
    body: new URLSearchParams({
      CallSid: 'CA1',
      AccountSid: 'AC1',
      From: '+1',
      To: '+2',
      CallStatus: 'ringing',
    }),
  });
  const [, mediaUrl] = /<Stream[^>]* url="([^"]+)"/.exec(await webhook.text()) ?? [];
  const socket = new WebSocket(mediaUrl ?? '', { autoPong: false });
  const closed = new Promise<number>((resolve) => {
    socket.on('close', resolve);
  });
  socket.on('error', () => undefined);
  await once(socket, 'open');
  return { clock, provider, events, bridge, socket, closed };
}

const START = JSON.stringify({
  event: 'start',
  sequenceNumber: '1',
  streamSid: 'MZ1',
  start: {
    accountSid: 'AC1',
    streamSid: 'MZ1',
    callSid: 'CA1',
    tracks: ['inbound'],
    mediaFormat: { encoding: 'audio/x-mulaw', sampleRate: 8000, channels: 1 },
    customParameters: {},
  },
});

function media(chunk: number): string {
  const payload = Buffer.alloc(160, chunk).toString('base64');
  const timing = { track: 'inbound', chunk: String(chunk), timestamp: String(chunk * 20) };
  return JSON.stringify({ event: 'media', streamSid: 'MZ1', media: { ...timing, payload } });
}

describe('the media socket', () => {
  it('closes a stream that begins with a message it cannot read', async () => {
    const { socket, closed } = await dial();
    socket.send('{"event":');
    expect(await closed).toBe(1008);
  });

  it('closes a stream that begins with a binary message', async () => {
    const { socket, closed } = await dial();
    socket.send(Buffer.from(START));
    expect(await closed).toBe(1008);
  });

  it('closes a stream with a message larger than 64 KiB', async () => {
    const { socket, closed } = await dial();
    socket.send(START);
    socket.send('x'.repeat(70_000));
    expect(await closed).toBe(1009);
  });

  it('goes on after a message that it cannot read, in the middle of a call', async () => {
    const { socket, provider } = await dial();
    socket.send(START);
    await provider.ready();
    socket.send(media(0));
    socket.send('nonsense');
    socket.send(Buffer.from('binary'));
    socket.send(media(1));
    await expect.poll(() => provider.audio.length).toBe(320);
    socket.close();
  });

  it('gives up a stream that sends nothing else', async () => {
    const { socket, closed, events } = await dial();
    socket.send(START);
    for (let i = 0; i < 60; i++) socket.send('nonsense');
    expect(await closed).toBe(1008);
    await expect.poll(() => events.at(-1)).toMatchObject({ type: 'ended', reason: 'media-lost' });
  });

  it('takes one start only', async () => {
    const { socket, events } = await dial();
    socket.send(START);
    socket.send(START);
    socket.send(media(0));
    await expect.poll(() => events.filter((event) => event.type === 'mediaStarted').length).toBe(1);
    socket.close();
  });

  it('pings, and gives up a carrier that does not answer twice', async () => {
    const { clock, socket, closed, events } = await dial();
    let pings = 0;
    socket.on('ping', () => {
      pings += 1;
    });
    socket.send(START);
    await expect.poll(() => events.some((event) => event.type === 'mediaStarted')).toBe(true);
    clock.advance(20_001);
    await expect.poll(() => pings).toBeGreaterThanOrEqual(1);
    clock.advance(20_001);
    expect(await closed).toBe(1006);
    await expect.poll(() => events.at(-1)).toMatchObject({ reason: 'media-lost' });
  });

  it('keeps a carrier that answers', async () => {
    const { clock, socket, events } = await dial();
    socket.send(START);
    await expect.poll(() => events.some((event) => event.type === 'mediaStarted')).toBe(true);
    socket.pong();
    for (let i = 0; i < 5; i++) {
      clock.advance(20_001);
      await once(socket, 'ping');
      socket.pong();
      // The pong has arrived when what was sent after it has.
      socket.send(media(i));
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
    expect(events.some((event) => event.type === 'ended')).toBe(false);
    socket.close();
  });
});
