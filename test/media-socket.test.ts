import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { type Agent, lineCheckAgent } from '../src/agents.ts';
import type { CallEvent } from '../src/call-events.ts';
import { loadConfig } from '../src/config.ts';
import { FAILOVER } from '../src/fallback/policy.ts';
import { createLog } from '../src/log.ts';
import { createBridge } from '../src/server.ts';
import { closeInTime } from './support/close-in-time.ts';
import { ManualProvider } from './support/manual-provider.ts';
import { VirtualClock } from './support/virtual-clock.ts';

/** The media socket against a client that does what no carrier should. */

const AGENT: Agent = {
  ...lineCheckAgent({
    instructions: undefined,
    greeting: 'Hello.',
    voice: undefined,
    language: undefined,
    audio: 'passthrough',
    maxCallMs: 3_600_000,
    silenceMs: 0,
  }),
  // Time stands still here, or leaps: no provider is to be given up for that.
  failover: { ...FAILOVER, connectMs: 3_600_000, answerMs: 0 },
};

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
  open.push(closeInTime(bridge, clock));
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
  const pings: Buffer[] = [];
  socket.on('ping', (data) => pings.push(data));
  await once(socket, 'open');
  const started = async (): Promise<void> => {
    socket.send(START);
    await expect.poll(() => events.some((event) => event.type === 'mediaStarted')).toBe(true);
  };
  return { clock, provider, events, bridge, socket, closed, started, pings };
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

  it('closes a stream whose start names another call, by itself or in its parameters', async () => {
    for (const [from, to] of [
      ['"callSid":"CA1"', '"callSid":"CA2"'],
      ['"customParameters":{}', '"customParameters":{"call":"CA2"}'],
    ] as const) {
      const { socket, closed, events } = await dial();
      socket.send(START.replace(from, to));
      expect(await closed).toBe(1008);
      await expect.poll(() => events.at(-1)).toMatchObject({ type: 'ended', reason: 'media-lost' });
    }
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
    const { clock, socket, events, started } = await dial();
    socket.on('ping', (data) => socket.pong(data));
    await started();
    for (let i = 0; i < 5; i++) {
      const ping = once(socket, 'ping');
      clock.advance(20_001);
      await ping;
      await arrived(socket, events);
    }
    expect(events.some((event) => event.type === 'ended')).toBe(false);
    socket.close();
  });

  it('believes only the echo of its own ping, and takes the shortest round trip', async () => {
    const { clock, socket, events, provider, started, pings } = await dial();
    await started();
    await provider.ready();
    const roundTrip = async (): Promise<unknown> => {
      await arrived(socket, events);
      const known = provider.results.length;
      provider.emit({
        type: 'toolCall',
        responseId: 'r',
        callId: `c${known}`,
        name: 'line_status',
        args: '{}',
      });
      await expect.poll(() => provider.results.length).toBe(known + 1);
      return JSON.parse(provider.results.at(-1)?.result.output ?? '');
    };
    await expect.poll(() => pings.length).toBe(1);
    clock.advance(15_000);
    socket.pong('unasked');
    expect(await roundTrip()).toEqual({ roundTripMs: 0 });
    clock.advance(5000);
    await expect.poll(() => pings.length).toBe(2);
    clock.advance(80);
    socket.pong(pings[1]);
    expect(await roundTrip()).toEqual({ roundTripMs: 80 });
    clock.advance(19_920);
    await expect.poll(() => pings.length).toBe(3);
    clock.advance(15_000);
    socket.pong(pings[2]);
    expect(await roundTrip()).toEqual({ roundTripMs: 80 });
    socket.close();
  });
});

/** Everything that was sent before has arrived: a key does, and is reported. */
async function arrived(socket: WebSocket, events: readonly CallEvent[]): Promise<void> {
  const digits = (): number => events.filter((event) => event.type === 'digit').length;
  const known = digits();
  socket.send(
    JSON.stringify({ event: 'dtmf', streamSid: 'MZ1', dtmf: { track: 'inbound_track', digit: '1' } }),
  );
  await expect.poll(digits).toBe(known + 1);
}
