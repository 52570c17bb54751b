import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MULAW_8K, PCM16_24K } from '../src/audio/format.ts';
import { bytesToSamples, encodeWav, readWav, samplesToBytes } from '../src/audio/wav.ts';
import type { Terminal } from '../src/commands/command.ts';
import { redact } from '../src/commands/redact.ts';
import { BridgeError } from '../src/errors.ts';
import { recordAgent } from '../src/recording/agent-record.ts';
import type { Line } from '../src/recording/format.ts';
import { MemorySink } from '../src/recording/memory-sink.ts';
import { SpeechNoise } from '../src/recording/noise.ts';
import { redactCall, redactingSink } from '../src/recording/redact.ts';
import { FictitiousNumbers } from '../src/recording/redact-numbers.ts';
import { readCall, writeCall } from '../src/recording/stored-call.ts';
import type { RecordingRedaction } from '../src/recording-terms.ts';
import { AGENT } from './support/call-kit.ts';
import { onLine, sentence } from './support/onsets.ts';
import { CallMaker } from './support/small-call.ts';

const NOTHING: RecordingRedaction = { numbers: false, fields: [], speech: 'none', words: false, keys: false };

function rules(some: Partial<RecordingRedaction>): RecordingRedaction {
  return { ...NOTHING, ...some };
}

function call(...lines: readonly Line[]) {
  const maker = new CallMaker({ agent: recordAgent(AGENT, { mode: 'report' }) });
  for (const { t, ...body } of lines) maker.line(t, body);
  return maker;
}

function webhook(form: Readonly<Record<string, string>>, target = '/voice/twilio'): Line {
  const contentType = 'application/x-www-form-urlencoded';
  return {
    t: 0,
    on: 'webhook',
    dir: 'in',
    msg: { id: 1, route: 'voice', method: 'POST', target, signed: 'valid', contentType, form },
  };
}

function provider(t: number, msg: unknown, dir: 'in' | 'out' = 'in'): Line {
  return { t, on: 'provider', dir, conn: 1, msg };
}

function textOf(lines: readonly Line[]): string {
  return lines.map((line) => JSON.stringify(line)).join('\n');
}

/** The lines that come out of a sink, and how many had come when the last went in. */
async function streamed(lines: readonly Line[], wanted: RecordingRedaction) {
  const memory = new MemorySink(call().stored().call);
  const sink = redactingSink(memory, wanted);
  for (const line of lines) sink.line(line);
  const atOnce = memory.stored().lines.length;
  await sink.finish({ t: 10_000, complete: true });
  return { lines: memory.stored().lines, atOnce };
}

describe('numbers', () => {
  it('are of the same length, written in the same way, and the same one wherever they stand', () => {
    const numbers = new FictitiousNumbers();
    const full = numbers.party('+14159870163');
    expect(full).toMatch(/^\+1[2-9]\d\d55501\d\d$/);
    expect(numbers.party('14159870163')).toBe(full.slice(1));
    expect(numbers.spoken('call (415) 987-0163 now')).toBe(
      `call (${full.slice(2, 5)}) 555-${full.slice(8)} now`,
    );
    expect(numbers.written('sip:+14159870163@example.com')).toBe(`sip:${full}@example.com`);
    expect(numbers.written('/x?from=%2B14159870163&b=1')).toBe(`/x?from=%2B${full.slice(1)}&b=1`);
    expect(numbers.party('+14159870164')).not.toBe(full);
    expect(numbers.value(14_159_870_163, 'phone')).toBe(Number(full.slice(1)));
  });

  it('are those of fields that say who calls, also when nothing marks them as numbers', () => {
    // Plivo writes them so.
    const form = { From: '14159870163', To: '4915112345678', Duration: '14159870163', Event: 'StartApp' };
    const [line] = redactCall(call(webhook(form)).stored(), rules({ numbers: true })).lines;
    const made = (line as { msg: { form: Record<string, string> } }).msg.form;
    expect(made['From']).toMatch(/^1\d{3}55501\d\d$/);
    expect(made['To']).toHaveLength(13);
    expect(made['To']).not.toContain('5112345678');
    // The same one, wherever it stands.
    expect(made['Duration']).toBe(made['From']);
    expect(made['Event']).toBe('StartApp');
  });

  it('of other countries and lengths stay as long, and what is fictitious already stays', () => {
    const numbers = new FictitiousNumbers();
    for (const real of [
      '+442079876543',
      '07911987654',
      '+4915123456789',
      '+33612345678',
      '9876543',
      '98765432',
    ]) {
      const given = numbers.party(real);
      expect(given).not.toBe(real);
      expect(given.length).toBe(real.length);
      expect(numbers.party(given)).toBe(given);
    }
    expect(numbers.party('+12025550123')).toBe('+12025550123');
  });

  it('are not found in times, ids, dates and what belongs to a protocol', () => {
    const lines = [
      provider(1705312200.123, {
        type: 'x',
        event_id: 'event_1234567890123',
        created: 1_705_312_200_000,
        text: 'on 2026-11-21 at 7',
      }),
      {
        t: 1_705_312_201,
        on: 'carrier',
        dir: 'in',
        conn: 1,
        msg: {
          event: 'media',
          sequenceNumber: '12345678',
          media: { timestamp: '1705312200000', payload: { wav: 'caller', at: 0, n: 160 } },
        },
      },
    ] satisfies Line[];
    expect(redactCall(call(...lines).stored(), rules({ numbers: true })).lines).toEqual(lines);
  });

  it('that people say in pieces are found however they are cut', async () => {
    const said = 'Ring 415-987-0163 or +44 20 7987 6543, at 7.';
    for (let size = 1; size < 20; size += 1) {
      const lines: Line[] = [];
      for (let at = 0; at < said.length; at += size) {
        const delta = said.slice(at, at + size);
        lines.push(
          provider(at, {
            type: 'response.output_audio_transcript.delta',
            item_id: 'i',
            content_index: 0,
            delta,
          }),
        );
        lines.push({
          t: at,
          on: 'call',
          dir: 'out',
          msg: {
            type: 'transcript',
            role: 'assistant',
            itemId: 'i',
            text: said.slice(0, at + size),
            final: false,
            atMs: at,
          },
        });
      }
      lines.push(
        provider(said.length, {
          type: 'response.output_audio_transcript.done',
          item_id: 'i',
          content_index: 0,
          transcript: said,
        }),
      );
      const once = await streamed(lines, rules({ numbers: true }));
      const later = redactCall(call(...lines).stored(), rules({ numbers: true })).lines;
      for (const redacted of [once.lines, later]) {
        const pieces = redacted.map((line) =>
          line.on === 'provider' && 'msg' in line ? (line.msg as { delta?: string }).delta : undefined,
        );
        const whole = pieces.join('');
        expect(whole).toMatch(/^Ring \d{3}-555-01\d\d or \+44 77 0090 0\d{3}, at 7\.$/);
        expect(textOf(redacted)).toContain(JSON.stringify(whole));
        expect(textOf(redacted)).not.toMatch(/987|7987|6543/);
      }
    }
  });

  it('do not hold lines up for long', async () => {
    const delta = {
      type: 'response.output_audio_transcript.delta',
      item_id: 'i',
      content_index: 0,
      delta: 'at 7',
    };
    const { atOnce, lines } = await streamed(
      [provider(0, delta), provider(500, { type: 'x' }), provider(1600, { type: 'y' })],
      rules({ numbers: true }),
    );
    expect(atOnce).toBe(3);
    expect(lines.length).toBe(3);
  });

  it('and the names of callers go from the fields of carriers', () => {
    const form = {
      From: '+14159870163',
      CallerName: 'ZEBULON QUIX',
      FromCity: 'PETALUMA',
      FromState: 'CA',
      CallerIdName: 'Li',
      SipFrom: '"Z" <sip:zebulon@example.com>',
      CallStatus: 'ringing',
    };
    const redacted = textOf(redactCall(call(webhook(form)).stored(), rules({ numbers: true })).lines);
    expect(redacted).not.toMatch(/4159870163|ZEBULON|QUIX|PETALUMA|zebulon|"CA"|"Li"/);
    expect(redacted).toContain('"CallStatus":"ringing"');
  });
});

describe('fields', () => {
  it('are found by name at any depth, in any encoding, and their values wherever else they stand', () => {
    const secret = 'Tok & "Zaphod" é';
    const state = Buffer.from(JSON.stringify({ account_no: secret })).toString('base64');
    const lines = [
      webhook(
        { From: '+14155550100', accountNo: secret, client_state: state },
        `/voice/twilio?account-no=${encodeURIComponent(secret)}`,
      ),
      {
        t: 1,
        on: 'webhook',
        dir: 'out',
        msg: {
          id: 1,
          status: 200,
          contentType: 'text/xml',
          body: '<Response><Connect><Stream><Parameter name="accountNo" value="Tok &amp; &quot;Zaphod&quot; é"/></Stream></Connect></Response>',
        },
      },
      {
        t: 2,
        on: 'carrier',
        dir: 'in',
        conn: 1,
        msg: {
          event: 'start',
          start: { customParameters: { accountNo: secret } },
          extra_headers: `a=b;accountNo=${encodeURIComponent(secret)}`,
        },
      },
      provider(3, { type: 'response.function_call_arguments.delta', delta: '{"account_no":"Tok & \\"Za' }),
      provider(4, {
        type: 'response.function_call_arguments.done',
        arguments: JSON.stringify({ deep: [{ Account_No: secret }] }),
      }),
      {
        t: 5,
        on: 'tool',
        dir: 'out',
        msg: { id: 1, run: 'f', toolCallId: 'c', args: { deep: [{ account_no: secret }], n: 1 } },
      },
      {
        t: 6,
        on: 'tool',
        dir: 'in',
        msg: {
          id: 1,
          returned: { text: `It is ${secret}.`, json: JSON.stringify({ accountno: 12_345 }) },
          done: true,
        },
      },
      provider(
        7,
        { type: 'x', item: { type: 'function_call_output', output: JSON.stringify({ account_no: secret }) } },
        'out',
      ),
    ] satisfies Line[];
    const { lines: redacted } = redactCall(call(...lines).stored(), rules({ fields: ['account_no'] }));
    const text = textOf(redacted);
    expect(text).not.toMatch(/Zaph|Za"|Tok|12345|%C3%A9/);
    expect(Buffer.from(/"client_state":"([^"]*)"/.exec(text)?.[1] ?? '', 'base64').toString()).toMatch(
      /^\{"account_no":"x+ & /,
    );
    expect(text).toContain('"n":1');
    expect(redacted.length).toBe(lines.length);
  });

  it('of a protocol are left alone, whatever they are called', () => {
    const lines = [
      provider(
        0,
        {
          type: 'session.update',
          session: {
            tools: [
              {
                type: 'function',
                name: 'f',
                parameters: { type: 'object', properties: { name: { type: 'string' } } },
              },
            ],
          },
        },
        'out',
      ),
      { t: 1, on: 'carrier', dir: 'out', conn: 1, msg: { event: 'mark', mark: { name: 'g0.m1' } } },
    ] satisfies Line[];
    expect(redactCall(call(...lines).stored(), rules({ fields: ['name', 'type'] })).lines).toEqual(lines);
  });
});

describe('words', () => {
  it('keep their number and their place, and signals that come as text stay', () => {
    const lines = [
      provider(0, {
        type: 'conversation.item.input_audio_transcription.completed',
        item_id: 'i',
        transcript: 'Hello, it is me.',
        logprobs: [{ token: 'Hello', bytes: [72, 101] }],
      }),
      provider(1, {
        serverContent: {
          outputTranscription: { text: ' Good day' },
          modelTurn: { parts: [{ text: 'Thinking' }] },
        },
      }),
      provider(2, { event: { textOutput: { content: '{ "interrupted" : true }', role: 'ASSISTANT' } } }),
      provider(3, { event: { textOutput: { content: 'Good day', role: 'ASSISTANT' } } }),
      provider(4, { type: 'response.output_audio.delta', delta: { wav: 'provider', at: 0, n: 1 } }),
    ];
    const maker = call(...lines);
    maker.ref('provider', PCM16_24K, new Int16Array(10));
    const text = textOf(redactCall(maker.stored(), rules({ words: true })).lines);
    expect(text).toContain('"transcript":"▒▒▒▒▒, ▒▒ ▒▒ ▒▒."');
    expect(text).toContain('{ \\"interrupted\\" : true }');
    expect(text).not.toMatch(/Hello|Good|day|Thinking|72,101/);
  });

  it('go from the texts of the agent and what carriers say, too', () => {
    const say = '<Response><Say language="en">Salutations</Say></Response>';
    const stored = call({
      t: 0,
      on: 'webhook',
      dir: 'out',
      msg: { id: 1, status: 200, contentType: 'text/xml', body: say },
    }).stored();
    const agent = {
      ...stored.call.agent,
      greeting: 'Good day',
      instructions: 'Be kind',
      variables: { guest: 'Zebulon' },
    };
    const redacted = redactCall({ ...stored, call: { ...stored.call, agent } }, rules({ words: true }));
    expect(JSON.stringify([redacted.call, redacted.lines])).not.toMatch(/Salutations|gracious|Zebulon/);
    expect(redacted.call.agent.name).toBe(agent.name);
    expect(redacted.call.redacted).toEqual({
      numbers: false,
      fields: [],
      speech: 'none',
      words: true,
      keys: false,
    });
  });
});

describe('keys', () => {
  it('become 0 wherever they are told', () => {
    const lines = [
      {
        t: 0,
        on: 'carrier',
        dir: 'in',
        conn: 1,
        msg: { event: 'dtmf', dtmf: { track: 'inbound', digit: '7' } },
      },
      { t: 1, on: 'call', dir: 'out', msg: { type: 'digit', atMs: 1, digit: '7' } },
      { t: 2, on: 'carrier', dir: 'out', conn: 1, msg: { event: 'sendDTMF', dtmf: '77#' } },
      provider(
        3,
        { type: 'x', item: { content: [{ type: 'input_text', text: 'The caller pressed the keys 77#.' }] } },
        'out',
      ),
      webhook({ Digits: '77' }),
    ] satisfies Line[];
    const text = textOf(redactCall(call(...lines).stored(), rules({ keys: true })).lines);
    expect(text).not.toMatch(/7/);
    expect(text).toContain('pressed the keys 00#.');
  });
});

describe('speech as noise', () => {
  const speech = onLine(sentence('0880'), -18, -60);

  for (const format of [MULAW_8K, PCM16_24K]) {
    it(`is as long and about as loud in ${format.encoding}, and like nothing that was said`, () => {
      const bytes = samplesToBytes(speech, format.encoding);
      const noise = new SpeechNoise(format, 1);
      const pieces: Uint8Array[] = [];
      for (let at = 0, size = 1; at < bytes.length; at += size, size = (size % 331) + 7)
        pieces.push(noise.push(bytes.subarray(at, at + size)));
      const made = bytesToSamples(Buffer.concat(pieces), format.encoding);
      expect(made.length).toBe(speech.length);
      expect(Math.abs(decibels(made) - decibels(speech))).toBeLessThan(3);
      expect(Math.abs(likeness(speech, made))).toBeLessThan(0.02);
      // Nothing of it is the speech of another loudness either: signs and sizes of samples are chance.
      expect(Math.abs(likeness(speech.map(Math.sign), made.map(Math.sign)))).toBeLessThan(0.02);
    });
  }

  it('depends on nothing but the loudness: other speech of the same loudness gives the same noise', () => {
    const tone = (hz: number) =>
      Int16Array.from({ length: 16_000 }, (_, i) => 8000 * Math.sin((2 * Math.PI * hz * i) / 8000));
    const noiseOf = (samples: Int16Array) =>
      new SpeechNoise({ encoding: 'pcm16', rate: 8000 }, 5).push(samplesToBytes(samples, 'pcm16'));
    expect(noiseOf(tone(300))).toEqual(noiseOf(tone(1000)));
  });

  it('leaves digital silence, and the other side, as they are', () => {
    const maker = call();
    maker.ref('caller', MULAW_8K, new Int16Array(800));
    maker.ref('caller', MULAW_8K, speech.subarray(0, 8000));
    maker.ref('agent', MULAW_8K, speech.subarray(0, 8000));
    const stored = maker.stored();
    const { wavs, call: file } = redactCall(stored, rules({ speech: 'caller' }));
    expect(wavs.get('agent')).toEqual(stored.wavs.get('agent'));
    expect(wavs.get('caller')?.bytes.subarray(0, 800)).toEqual(
      stored.wavs.get('caller')?.bytes.subarray(0, 800),
    );
    expect(wavs.get('caller')?.bytes).not.toEqual(stored.wavs.get('caller')?.bytes);
    expect(wavs.get('caller')?.bytes.length).toBe(stored.wavs.get('caller')?.bytes.length);
    expect(file.redacted?.speech).toBe('caller');
  });
});

describe('call.wav of a call that is recorded', () => {
  const format = { encoding: 'pcm16', rate: 8000 } as const;
  const voice = samplesToBytes(onLine(sentence('0880'), -18, -60).subarray(0, 16_000), 'pcm16');
  const stereo = new Uint8Array(2 * voice.length);
  for (let i = 0; i < voice.length; i += 2) {
    stereo.set(voice.subarray(i, i + 2), 2 * i);
    stereo.set(voice.subarray(i, i + 2), 2 * i + 2);
  }

  it.each([
    ['none', true, true],
    ['caller', false, true],
    ['agent', true, false],
    ['both', false, false],
  ] as const)('has noise in the place of the speech of: %s', (speech, isLeftKept, isRightKept) => {
    const memory = new MemorySink(call().stored().call);
    const sink = redactingSink(memory, rules({ speech }));
    for (let at = 0; at < stereo.length; at += 6400) sink.stereo(format, stereo.subarray(at, at + 6400));
    const written = memory.stereoAudio?.bytes ?? new Uint8Array();
    expect(written.length).toBe(stereo.length);
    const channel = (bytes: Uint8Array, first: number): Int16Array =>
      new Int16Array(bytes.slice().buffer).filter((_sample, at) => at % 2 === first);
    for (const [first, isKept] of [isLeftKept, isRightKept].entries()) {
      const alike = likeness(channel(written, first), channel(stereo, first));
      if (isKept) expect(alike).toBeCloseTo(1, 6);
      else expect(Math.abs(alike)).toBeLessThan(0.05);
    }
  });
});

describe('patchcord redact', () => {
  async function folder(): Promise<{ readonly path: string } & AsyncDisposable> {
    const path = await mkdtemp(join(tmpdir(), 'redact-'));
    return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
  }

  const said: string[] = [];
  const terminal = { env: {}, isTty: false, out: (text: string) => said.push(text) } as unknown as Terminal;

  async function recording(path: string): Promise<void> {
    const maker = call(webhook({ From: '+14159870163' }), {
      t: 2,
      on: 'call',
      dir: 'out',
      msg: {
        type: 'transcript',
        atMs: 2,
        role: 'user',
        itemId: 'i',
        text: 'It is 415 987 0163.',
        final: true,
      },
    });
    const samples = onLine(sentence('0880'), -18, -60).subarray(0, 16_000);
    const payload = maker.ref('caller', MULAW_8K, samples);
    maker.line(3, { on: 'carrier', dir: 'in', conn: 1, msg: { event: 'media', media: { payload } } });
    await writeCall(path, maker.stored());
    await writeFile(join(path, 'transcript.txt'), 'It is 415 987 0163.');
    const stereo = new Uint8Array(32_000);
    for (let i = 0; i < 16_000; i++) stereo.set(samplesToBytes(samples.subarray(i, i + 1), 'mulaw'), 2 * i);
    await writeFile(
      join(path, 'call.wav'),
      encodeWav({ encoding: 'mulaw', rate: 8000, channels: 2 }, stereo.fill(0xff, 31_000)),
    );
  }

  async function everything(path: string): Promise<string> {
    const files = await readdir(path);
    return (await Promise.all(files.map((file) => readFile(join(path, file), 'latin1')))).join('\n');
  }

  it('puts the result in the place of the recording, whole, and leaves nothing of it behind', async () => {
    await using parent = await folder();
    const path = join(parent.path, 'call');
    await recording(path);
    const before = await readCall(path);
    const wav = readWav(await readFile(join(path, 'call.wav')));
    expect(await redact.run([path, '--numbers', '--speech', 'caller'], terminal)).toBe(0);
    expect(await readdir(parent.path)).toEqual(['call']);
    expect((await readdir(path)).sort()).toEqual([
      'call.json',
      'call.wav',
      'caller.wav',
      'events.jsonl',
      'transcript.txt',
    ]);
    expect(await everything(path)).not.toMatch(/987.?0163/);
    const after = await readCall(path);
    expect(after.lines.length).toBe(before.lines.length);
    const made = readWav(await readFile(join(path, 'call.wav')));
    expect(made.frames).toBe(wav.frames);
    expect(made.channel(1)).toEqual(wav.channel(1));
    expect(Math.abs(likeness(made.channel(0), wav.channel(0)))).toBeLessThan(0.05);
  });

  it('or somewhere else, and the recording stays as it was', async () => {
    await using parent = await folder();
    const path = join(parent.path, 'call');
    await recording(path);
    await writeFile(join(path, 'notes.txt'), '415 987 0163');
    const before = await everything(path);
    const out = join(parent.path, 'out');
    said.length = 0;
    await redact.run([path, '--numbers', '--out', out], terminal);
    expect(await everything(path)).toBe(before);
    expect(await everything(out)).not.toMatch(/987.?0163/);
    expect(said.join('')).toContain('notes.txt');
    await expect(redact.run([path, '--numbers', '--out', out], terminal)).rejects.toThrow(
      /wanted one that is empty/,
    );
  });

  it('refuses what it does not understand, and touches nothing then', async () => {
    await using parent = await folder();
    const path = join(parent.path, 'call');
    await recording(path);
    const before = await everything(path);
    const refused = async (...argv: string[]) =>
      expect(redact.run(argv, terminal)).rejects.toBeInstanceOf(BridgeError);
    await refused(path);
    await refused('--numbers');
    await refused(path, '--speech', 'mine');
    await refused(path, '--numbres');
    await refused(join(parent.path, 'nothing'), '--numbers');
    await writeFile(join(path, 'notes.txt'), '');
    await refused(path, '--numbers');
    await rm(join(path, 'notes.txt'));
    expect(await everything(path)).toBe(before);
  });
});

function decibels(samples: Int16Array): number {
  return 10 * Math.log10(samples.reduce((sum, one) => sum + one * one, 0) / samples.length);
}

/** How much one has of the other, -1 to 1. */
function likeness(one: Int16Array, other: Int16Array): number {
  let [both, first, second] = [0, 0, 0];
  for (let i = 0; i < one.length; i++) {
    const [a, b] = [one[i] ?? 0, other[i] ?? 0];
    both += a * b;
    first += a * a;
    second += b * b;
  }
  return both / Math.sqrt(first * second);
}
