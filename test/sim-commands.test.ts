import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { Terminal } from '../src/commands/command.ts';
import { simulate } from '../src/commands/simulate.ts';
import { showEvents } from '../src/commands/simulated-provider.ts';
import { GEMINI_PATH } from '../src/sim/gemini/address.ts';
import { GeminiClient, say, sendAudio, setupOf, silence as silence16 } from './support/gemini-client.ts';
import { silence as lpcmSilence, NovaClient } from './support/nova-client.ts';
import { append, MODEL, Client as OpenAiClient, silence, userText } from './support/openai-client.ts';
import {
  append as appendLive,
  Client as LiveClient,
  silence as liveSilence,
  startEvent,
} from './support/openai-live-client.ts';

/** A terminal that keeps what is written. */
class Screen implements Terminal {
  readonly env = {};
  readonly isTty = false;
  readonly url: Promise<string>;
  written = '';
  #listening: (url: string) => void = () => {};
  #interrupt: () => void = () => {};

  constructor() {
    this.url = new Promise((resolve) => {
      this.#listening = resolve;
    });
  }

  out(text: string): void {
    const [, found] = /^listening on (\S+)\n/.exec(text) ?? [];
    if (found !== undefined) this.#listening(found);
  }

  err(text: string): void {
    this.written += text;
  }

  onInterrupt(listener: () => void): () => void {
    this.#interrupt = listener;
    return () => {};
  }

  onStray(): void {}

  interrupt(): void {
    this.#interrupt();
  }

  /** The lines about a type of event. */
  lines(type: string): readonly string[] {
    return this.written.split('\n').filter((line) => line.split(' ').includes(type));
  }
}

function run(...argv: readonly string[]): { readonly screen: Screen; readonly exit: Promise<number> } {
  const screen = new Screen();
  return { screen, exit: simulate.run(argv, screen) };
}

describe('events on the terminal', () => {
  const connection = { index: 3 };

  function show(...events: readonly (readonly [atMs: number, type: string, index?: number])[]): string[] {
    const screen = new Screen();
    const shown = showEvents(screen, ['audio']);
    const others = new Map([[connection.index, connection]]);
    for (const [atMs, type, index = connection.index] of events) {
      const one = others.get(index) ?? { index };
      others.set(index, one);
      shown(one, { direction: 'received', atMs, event: { type } });
    }
    return screen.written.trimEnd().split('\n');
  }

  it('have a line each', () => {
    expect(show([0, 'hello'], [1_234, 'hello'])).toEqual(['  3    0.000 ▶ hello', '  3    1.234 ▶ hello']);
  });

  it('with audio are shown once, then counted once a second', () => {
    const second = (from: number): [number, string][] =>
      Array.from({ length: 50 }, (_, i) => [from + i * 20, 'audio']);
    expect(show(...second(100), ...second(1_100), ...second(2_100), [3_200, 'bye'])).toEqual([
      '  3    0.100 ▶ audio',
      '  3    1.080 ▶ audio ×49',
      '  3    2.080 ▶ audio ×50',
      '  3    3.080 ▶ audio ×50',
      '  3    3.200 ▶ bye',
    ]);
  });

  it('with audio are shown again after a pause', () => {
    expect(show([0, 'audio'], [40, 'audio'], [5_000, 'audio'], [9_000, 'audio'], [12_000, 'x'])).toEqual([
      '  3    0.000 ▶ audio',
      '  3    0.040 ▶ audio ×1',
      '  3    5.000 ▶ audio',
      '  3    9.000 ▶ audio',
      '  3   12.000 ▶ x',
    ]);
  });

  it('are counted for each connection by itself', () => {
    expect(show([0, 'audio'], [10, 'audio', 4], [20, 'audio'], [30, 'audio', 4])).toEqual([
      '  3    0.000 ▶ audio',
      '  4    0.010 ▶ audio',
    ]);
  });

  it('do not control the terminal, whatever a client calls them', () => {
    expect(show([0, '\u001b[2J\u202eevil\r\n  9    0.000 ◀ forged\u009b']).join('|')).toBe(
      '  3    0.000 ▶ \uFFFD[2J\uFFFDevil\uFFFD\uFFFD  9    0.000 ◀ forged\uFFFD',
    );
    const [line = ''] = show([0, 'a'.repeat(70)]);
    expect(line).toBe(`  3    0.000 ▶ ${'a'.repeat(63)}…`);
  });
});

describe('messages with audio do not flood the terminal', () => {
  /** One line for each second at most, however many messages came. */
  function expectFew(screen: Screen, ...types: readonly string[]): void {
    for (const type of types) {
      const lines = screen.lines(type);
      expect(lines.length).toBeGreaterThan(0);
      expect(lines.length).toBeLessThan(8);
    }
  }

  it.each([
    ['ga', 'response.output_audio.delta'],
    ['beta', 'response.audio.delta'],
  ])('of OpenAI Realtime, dialect %s', async (dialect, delta) => {
    const { screen, exit } = run('openai', '--dialect', dialect, '--first-audio-ms', '0', '--speed', '50');
    const client = new OpenAiClient((await screen.url) + MODEL);
    await client.next('session.created');
    append(client, silence(1_000));
    client.send(userText('Talk.'));
    await client.ask({ type: 'response.create' }, 'response.done');
    expect(client.types.filter((type) => type === delta).length).toBeGreaterThan(9);
    screen.interrupt();
    expect(await exit).toBe(0);
    expectFew(screen, 'input_audio_buffer.append');
    expect(screen.written.match(/◀ response\.(output_)?audio\.delta/g)?.length).toBeLessThan(8);
    expect(screen.lines('response.done')).toHaveLength(1);
  });

  it('of OpenAI Live', async () => {
    const { screen, exit } = run('openai-live', '--first-audio-ms', '0');
    const client = new LiveClient(await screen.url);
    await client.opened();
    await client.ask(startEvent(), 'session.started');
    appendLive(client, liveSilence(1_500));
    await expect.poll(() => client.of('session.output_audio.delta').length, { timeout: 10_000 }).toBe(15);
    screen.interrupt();
    expect(await exit).toBe(0);
    expectFew(screen, 'session.input_audio.append', 'session.output_audio.delta');
  });

  it('of Gemini Live', async () => {
    const { screen, exit } = run('gemini', '--first-audio-ms', '0', '--speed', '50');
    const client = new GeminiClient(`${await screen.url}${GEMINI_PATH}?key=k`);
    await client.opened;
    await client.ask(setupOf(), 'setupComplete');
    sendAudio(client, silence16(1_000));
    await client.ask(say('Talk.'), 'generationComplete');
    expect(client.all('modelTurn').length).toBeGreaterThan(9);
    screen.interrupt();
    expect(await exit).toBe(0);
    expectFew(screen, 'realtimeInput.audio', 'modelTurn');
  });

  it('of Amazon Nova 2 Sonic', async () => {
    const { screen, exit } = run('nova', '--first-audio-ms', '0', '--speed', '50');
    await using client = new NovaClient(await screen.url);
    client.begin();
    client.say(lpcmSilence(1_000));
    client.text('USER', 'Talk.', true);
    await client.next('contentEnd', ({ stopReason }) => stopReason === 'END_TURN');
    expect(client.all('audioOutput').length).toBeGreaterThan(9);
    screen.interrupt();
    expect(await exit).toBe(0);
    expectFew(screen, 'audioInput', 'audioOutput');
  });
});

describe('patchcord simulate', () => {
  it.each(['openai', 'openai-live', 'gemini', 'nova', 'twilio', 'telnyx', 'plivo'])(
    '%s: says that a port is taken, in the words of serve',
    async (what) => {
      const taken = createServer().listen(0, '127.0.0.1');
      await once(taken, 'listening');
      const { port } = taken.address() as AddressInfo;
      const started = run(what, '--port', String(port)).exit;
      const place = `127.0.0.1:${port}`;
      await expect(started).rejects.toMatchObject({
        code: 'BAD_CONFIG',
        message: `BAD_CONFIG: cannot listen on ${place}: listen EADDRINUSE: address already in use ${place}`,
      });
      taken.close();
    },
  );

  it.each([
    ['xai', /simulate: xai is played by `simulate openai --dialect xai`/],
    ['azure', /simulate: azure is played by `simulate openai`.*AZURE_OPENAI_ENDPOINT/],
    [
      'azure-voice-live',
      /simulate: azure-voice-live is played by `simulate openai`.*AZURE_VOICE_LIVE_ENDPOINT/,
    ],
    ['inworld', /simulate: inworld is played by `simulate openai`.*INWORLD_BASE_URL/],
    ['gemni', /found "gemni", did you mean gemini\?/],
    ['open-ai', /found "open-ai", did you mean openai\?/],
    ['plvio', /found "plvio", did you mean plivo\?/],
    ['constructor', /found "constructor", wanted one of openai, /],
  ])('%s: says what to do', async (what, message) => {
    await expect(run(what).exit).rejects.toThrow(message);
  });

  it.each(['gemini', 'nova'])('%s: has the models and voices that it is told', async (what) => {
    for (const option of ['--models', '--voices']) {
      const words = `${option}: found "a,,b", wanted names with commas between them, or any`;
      await expect(run(what, option, 'a,,b').exit).rejects.toThrow(words);
    }
  });

  it('nova: takes a voice that the service does not have, when it is told', async () => {
    const { screen, exit } = run('nova', '--voices', 'alloy, matthew', '--models', 'any');
    await using client = new NovaClient(await screen.url, { model: 'mine' });
    client.begin();
    client.text('USER', 'Talk.', true);
    await client.next('contentEnd', ({ stopReason }) => stopReason === 'END_TURN');
    screen.interrupt();
    expect(await exit).toBe(0);
  });

  it('gemini: takes a model and a voice that the service does not have, when it is told', async () => {
    const { screen, exit } = run('gemini', '--voices', 'any', '--models', 'mine', '--quiet');
    const client = new GeminiClient(`${await screen.url}${GEMINI_PATH}?key=k`);
    await client.opened;
    const voiceConfig = { prebuiltVoiceConfig: { voiceName: 'Bob' } };
    const generationConfig = { responseModalities: ['AUDIO'], speechConfig: { voiceConfig } };
    await client.ask(setupOf({ generationConfig }, 'models/mine'), 'setupComplete');
    screen.interrupt();
    expect(await exit).toBe(0);
    expect(screen.written).toBe('');
  });

  it('says in its help what is shown, and what serve finds by itself', () => {
    expect(simulate.help).toMatch(/messages that carry audio are counted, one line a second for\s+each kind/);
    expect(simulate.help).not.toContain('AWS_REGION');
    expect(simulate.help).not.toContain('AWS_ACCESS_KEY_ID');
  });
});
