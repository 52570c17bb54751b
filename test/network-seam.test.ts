import { channel } from 'node:diagnostics_channel';
import { describe, expect, it } from 'vitest';
import { createPlivo } from '../carriers/plivo.ts';
import { createTelnyx } from '../carriers/telnyx.ts';
import { createTwilio } from '../carriers/twilio.ts';
import type { ConnectRequest, ProviderEvent } from '../src/provider.ts';
import { withHooks } from '../src/provider-hooks.ts';
import { defineProvider, ProviderRegistry } from '../src/provider-registry.ts';
import { createLocalProvider } from '../src/providers/local.ts';
import type { Random } from '../src/random.ts';
import { ProviderLine } from './support/provider-line.ts';
import type { Script, Subject } from './support/provider-subjects.ts';
import { SUBJECTS } from './support/subjects.ts';
import { type Passed, PlayedNetwork, TappedNetwork } from './support/tapped-network.ts';
import { VirtualClock } from './support/virtual-clock.ts';

/** A provider reaches nothing but by the network that it is given, and what it leaves to chance is given to it too. */

const SCRIPT: Script = {
  answers: [
    { transcript: 'Hello there.', audioMs: 300 },
    { toolCalls: [{ name: 'lookup', args: { what: 'the time' }, callId: 'call_one' }] },
    { transcript: 'It is noon.', audioMs: 400 },
  ],
  heard: ['What time is it?'],
};

/** Always the same. */
class Dice implements Random {
  #count = 0;

  bytes(count: number): Uint8Array {
    return new Uint8Array(count).fill(this.#next());
  }

  uuid(): string {
    return `00000000-0000-4000-8000-${String(this.#next()).padStart(12, '0')}`;
  }

  fraction(): number {
    return (this.#next() % 100) / 100;
  }

  #next(): number {
    this.#count += 1;
    return this.#count;
  }
}

/** A greeting, a question, a function, an answer, and the end; time stands still. */
async function conversation(
  subject: Subject,
  provider: Parameters<typeof ProviderLine.open>[0],
  over: Partial<ConnectRequest>,
): Promise<readonly ProviderEvent[]> {
  const line = await ProviderLine.open(provider, { clock: new VirtualClock(), random: new Dice(), ...over });
  const { speech } = provider.capabilities;
  // Such a model says nothing while it hears nothing.
  const wait = (): void => {
    if (speech === 'continuous') line.sendSilence(1_200);
  };
  line.session.say('Hello there.');
  wait();
  await line.next('responseDone');
  line.callerSays(600, subject.silenceMs);
  wait();
  const { callId } = await line.next('toolCall');
  line.session.sendToolResult(callId, { output: '{"time":"12:00"}', isError: false, respond: true });
  wait();
  // The one that only calls the function has no sound.
  await line.next('responseDone', ({ responseId }) => line.audioMs(responseId) > 0);
  await line.session.close('that was all');
  return line.events;
}

/** Sockets that anybody in this process opens from now on. */
function watchSockets() {
  const opened: unknown[] = [];
  const note = (message: unknown): void => {
    opened.push(message);
  };
  const sockets = channel('net.client.socket');
  sockets.subscribe(note);
  return { opened, [Symbol.dispose]: () => sockets.unsubscribe(note) };
}

/** What went out: pieces of audio one after the other are one, for how they are cut depends on who takes them. */
function sentOf(passed: readonly Passed[]): readonly string[] {
  const said: string[] = [];
  let audio = '';
  const flush = (): void => {
    if (audio !== '') said.push(`audio ${audio}`);
    audio = '';
  };
  for (const one of passed) {
    if (one.dir === 'in') continue;
    const piece = one.kind === 'send' ? AUDIO.exec(one.text)?.[1] : undefined;
    if (piece === undefined) {
      flush();
      said.push(`${one.kind} ${one.text}`);
    } else {
      audio += Buffer.from(piece, 'base64').toString('hex');
    }
  }
  flush();
  return said;
}

/** Base64 in one of the fields that have audio. */
const AUDIO = /"(?:audio|content|data)":"((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2,3}={1,2})?)"/;

describe.each(SUBJECTS)('$name', { timeout: 30_000 }, (subject) => {
  it('says so', async () => {
    await using stage = await subject.start({});
    expect(stage.provider.usesNetwork).toBe(true);
  });

  it('sends everything through the network that it is given, and is told everything by it', async () => {
    await using stage = await subject.start(SCRIPT);
    const network = new TappedNetwork();
    const coming = stage.nextPeer();
    await conversation(subject, stage.provider, { network });
    const peer = await coming;
    const sent = network.passed.filter(({ kind, text }) => kind === 'send' && !AUDIO.test(text));
    expect(sent).toHaveLength(peer.received.length);
    expect(sent.length).toBeGreaterThan(2);
    expect(peer.receivedAudioMs).toBeGreaterThanOrEqual(600);
    expect(network.passed[0]).toMatchObject({ dir: 'out', kind: 'dial' });
    const ends = network.passed.filter(({ kind }) => kind === 'closed' || kind === 'ended');
    expect(ends).toHaveLength(1);
    expect(peer.complaints()).toEqual([]);
  });

  it('opens no socket of its own, and says the same again when it is told the same again', async () => {
    await using first = await subject.start(SCRIPT);
    const network = new TappedNetwork();
    const told = await conversation(subject, first.provider, { network });
    // Its address is that of a server which nobody comes to.
    await using second = await subject.start(SCRIPT);
    using sockets = watchSockets();
    const played = new PlayedNetwork(network.passed);
    const again = await conversation(subject, second.provider, { network: played });
    expect(sockets.opened).toEqual([]);
    expect(sentOf(played.sent)).toEqual(sentOf(network.passed));
    expect(again).toEqual(told);
  });
});

/** Nova's HTTP/2 connection is not pinged: see `NovaOptions.stallMs`. */
const PINGING = SUBJECTS.filter(({ name }) => name !== 'Nova 2 Sonic');

describe.each(PINGING)('$name', { timeout: 30_000 }, (subject) => {
  it('pings through the network that it is given', async () => {
    await using stage = await subject.start({});
    const network = new TappedNetwork();
    const clock = new VirtualClock();
    const line = await ProviderLine.open(stage.provider, { clock, network });
    clock.advance(5_000);
    expect(network.passed.filter(({ kind }) => kind === 'ping')).toHaveLength(1);
    await network.until('pong');
    await line.session.close('that was all');
  });
});

describe('a provider in other clothes', () => {
  const [subject] = SUBJECTS;
  if (subject === undefined) throw new Error('there is no provider');

  it('uses the network under another name, and with hooks', async () => {
    await using stage = await subject.start({});
    const registry = new ProviderRegistry({
      builtIn: [],
      own: [defineProvider({ name: 'another', create: () => stage.provider })],
      hooks: [{}],
    });
    expect((await registry.named('another')).usesNetwork).toBe(true);
    expect(withHooks(stage.provider, {}).usesNetwork).toBe(true);
  });

  it('does not say that it uses the network when it needs none', async () => {
    await using local = createLocalProvider();
    expect(local.usesNetwork).toBeUndefined();
    expect(withHooks(local, {}).usesNetwork).toBeUndefined();
  });
});

describe('a carrier', () => {
  const options = {
    accountSid: `AC${'0'.repeat(32)}`,
    authId: 'MAXXXXXXXXXXXXXXXXXX',
    authToken: 'token-for-tests',
    apiKey: 'key-for-tests',
    publicKey: undefined,
    connectionId: '1',
    publicUrl: () => 'https://bridge.example.com',
    insecure: true,
    epochMs: () => 0,
  };

  it.each([
    ['Twilio', createTwilio],
    ['Telnyx', createTelnyx],
    ['Plivo', createPlivo],
  ] as const)(
    'makes its requests by the fetch that it is given, and the same ones again: %s',
    async (_, create) => {
      using sockets = watchSockets();
      const ask = async (): Promise<readonly string[]> => {
        const asked: string[] = [];
        const carrier = create({
          ...options,
          random: new Dice(),
          fetch: (url, init) => {
            asked.push(`${init?.method} ${String(url)} ${String(init?.body ?? '')}`);
            return Promise.resolve(new Response('{}', { status: 200 }));
          },
        });
        const { signal } = new AbortController();
        const call = { callId: 'call-1', control: 'command' } as const;
        await carrier.hangUp(call, signal);
        await carrier.startRecording(call, URLS, signal);
        await carrier.isLive(call, signal);
        return asked;
      };
      const asked = await ask();
      expect(asked).toHaveLength(3);
      expect(await ask()).toEqual(asked);
      expect(sockets.opened).toEqual([]);
    },
  );
});

const URLS = {
  afterUrl: 'https://bridge.example.com/after',
  announceUrl: 'https://bridge.example.com/announce',
  statusUrl: 'https://bridge.example.com/status',
};
