import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCall } from '../src/recording/stored-call.ts';
import { kindOf } from '../src/replay/compare/words.ts';
import { type Mutant, MutantLab, replaceOnce } from './support/mutants.ts';

/**
 * What fixtures are worth: each of these is a mistake that somebody could make, and the fixture that proves the contrary
 * has to fail at the moment of the mistake, with a message that names it.
 */
const MUTANTS: readonly Mutant[] = [
  {
    part: 'playout',
    what: 'marks come half as often',
    file: 'src/playout.js',
    from: 'const MARK_EVERY_MS = 200;',
    to: 'const MARK_EVERY_MS = 400;',
    fixture: 'twilio-barge-in',
    first: {
      edge: 'carrier',
      says: /to the carrier: audio: 200 ms too long/,
      after: { on: 'carrier', kind: 'mark' },
    },
  },
  {
    part: 'playout',
    what: 'the carrier is given more ahead than it should have',
    file: 'src/playout.js',
    from: '(this.#leadMs - lead)',
    to: '(3 * this.#leadMs - lead)',
    fixture: 'twilio-barge-in',
    first: {
      edge: 'carrier',
      says: /to the carrier: audio: .* too early/,
      after: { on: 'carrier', kind: 'mark', withinMs: 600 },
    },
  },
  {
    part: 'playout',
    what: 'echoes of marks that were cleared count as heard',
    file: 'src/playout.js',
    from: 'this.#generation += 1;',
    to: '',
    fixture: 'twilio-barge-in',
    first: {
      edge: 'call',
      says: /turn: msg\.firstMarkMs differs/,
      after: { on: 'call', kind: 'turn' },
    },
  },
  {
    part: 'barge-in',
    what: 'the clear is left out',
    file: 'src/playout.js',
    from: 'this.#leg.clear();',
    to: '',
    fixture: 'plivo-barge-in-after-generation',
    first: {
      edge: 'carrier',
      says: /to the carrier: clearAudio: is missing/,
      after: { on: 'carrier', kind: 'clearAudio' },
    },
  },
  {
    part: 'barge-in',
    what: 'the carrier is cleared after the model was told',
    file: 'src/playout.js',
    from: 'this.#leg.clear();',
    to: 'queueMicrotask(() => this.#leg.clear());',
    fixture: 'twilio-barge-in',
    first: {
      edge: 'provider',
      says: /comes before "to the carrier: clear"/,
      after: { on: 'carrier', kind: 'clear' },
    },
  },
  {
    part: 'barge-in',
    what: 'all that came counts as heard',
    file: 'src/played-item.js',
    from: 'playedMs: Math.min(playedMs, receivedMs)',
    to: 'playedMs: receivedMs',
    fixture: 'telnyx-barge-in',
    first: {
      edge: 'provider',
      says: /conversation\.item\.truncate: msg\.audio_end_ms/,
      after: { on: 'carrier', kind: 'clear' },
    },
  },
  {
    part: 'codec',
    what: 'one entry of the mu-law table has the wrong sign',
    file: 'src/audio/g711.js',
    from: 'decode[code] = codec.decodeSample(code);',
    to: 'decode[code] = codec.decodeSample(code === 0x4e ? 0xce : code);',
    fixture: 'twilio-wideband-24k',
    first: {
      edge: 'provider',
      says: /audio: the same sound with noise .*\(uplink\.wav/,
      after: { on: 'provider', kind: 'input_audio_buffer.append', withinMs: 600 },
    },
  },
  {
    part: 'codec',
    what: 'the resampler forgets what came before each frame',
    file: 'src/audio/resample.js',
    from: 'this.#input.set(this.#tail);',
    to: 'this.#input.fill(0, 0, this.#tail.length);',
    fixture: 'twilio-wideband-24k',
    first: {
      edge: 'provider',
      says: /audio: the same sound with noise .*\(uplink\.wav/,
      after: { on: 'provider', kind: 'input_audio_buffer.append', withinMs: 600 },
    },
  },
  {
    part: 'codec',
    what: 'everything is 1 dB quieter',
    file: 'src/audio/sample-io.js',
    from: 'samples[index + i] = decode[bytes[from + i]];',
    to: 'samples[index + i] = 0.89 * decode[bytes[from + i]];',
    fixture: 'twilio-wideband-24k',
    first: {
      edge: 'provider',
      says: /audio: 1 dB too quiet \(uplink\.wav/,
      after: { on: 'provider', kind: 'input_audio_buffer.append', withinMs: 600 },
    },
  },
  {
    part: 'provider adapter',
    what: 'the model may write in the place of speaking',
    file: 'src/providers/openai/sessions.js',
    from: "output_modalities: ['audio'],",
    to: "output_modalities: ['audio', 'text'],",
    fixture: 'twilio-greeting-is-ready',
    first: {
      edge: 'provider',
      says: /session\.update: msg\.session\.output_modalities/,
      after: { on: 'provider', kind: 'session.update' },
    },
  },
  {
    part: 'provider adapter',
    what: 'the result of a function is not told',
    file: 'src/providers/openai/conversation.js',
    from: 'this.#functions.answer(callId, result);',
    to: '',
    fixture: 'plivo-two-functions-one-answer',
    first: {
      edge: 'provider',
      says: /conversation\.item\.create: is missing/,
      after: { on: 'call', kind: 'tool' },
    },
  },
  {
    part: 'provider adapter',
    what: 'the model is not told how much was heard',
    file: 'src/providers/openai/conversation.js',
    from: 'this.#ports.send(correction.type, correctionMessage(correction));',
    to: '',
    fixture: 'twilio-barge-in',
    first: {
      edge: 'provider',
      says: /conversation\.item\.truncate: is missing/,
      after: { on: 'carrier', kind: 'clear' },
    },
  },
  {
    part: 'tool runner',
    what: 'a function is run twice',
    file: 'src/tools/invocation.js',
    from: 'returned = tool.run(args, context);',
    to: 'returned = tool.run(args, context); Promise.resolve(tool.run(args, context)).catch(() => {});',
    fixture: 'telnyx-nova-function',
    first: {
      edge: 'tool',
      says: /function look_up: run: was not expected/,
      after: { on: 'tool', kind: 'run' },
    },
  },
  {
    part: 'tool runner',
    what: 'the deadline of a function is ignored',
    file: 'src/tools/invocation.js',
    from: '() => this.#timeOut());',
    to: '() => undefined);',
    fixture: 'twilio-function-too-slow',
    first: {
      edge: 'tool',
      says: /function look_up: aborted: is missing/,
      after: { on: 'tool', kind: 'aborted' },
    },
  },
  {
    part: 'tool runner',
    what: 'a result is told twice',
    file: 'src/tool-desk.js',
    from: 'provider.sendToolResult(call.callId, result);',
    to: 'provider.sendToolResult(call.callId, result); provider.sendToolResult(call.callId.concat("2"), result);',
    fixture: 'telnyx-nova-function',
    first: { edge: 'provider', says: /to nova: .*was not expected/, after: { on: 'call', kind: 'tool' } },
  },
  {
    part: 'tool runner',
    what: 'a result is told under another id',
    file: 'src/tool-desk.js',
    from: 'provider.sendToolResult(call.callId, result);',
    to: 'provider.sendToolResult(call.responseId, result);',
    fixture: 'twilio-openai-beta-dialect',
    first: { edge: 'provider', says: /conversation\.item\.create/, after: { on: 'call', kind: 'tool' } },
  },
];

let lab: MutantLab;

beforeAll(() => {
  lab = new MutantLab();
}, 120_000);

afterAll(() => lab[Symbol.dispose]());

const fixtures = [...new Set(MUTANTS.map(({ fixture }) => fixture))];

describe('a change of one line', () => {
  it('is none: the program as it is replays the fixtures without a difference', {
    timeout: 60_000,
  }, async () => {
    const { status, out, err } = await lab.run(['replay', ...fixtures.map((name) => `fixtures/${name}`)]);
    expect(err).toBe('');
    expect(out).toContain(`${fixtures.length} the same`);
    expect(status).toBe(0);
  });

  it.each(MUTANTS)('in the $part is noticed: $what', { timeout: 60_000 }, async (mutant) => {
    const { fixture, first } = mutant;
    const argv = ['replay', `fixtures/${fixture}`, '--json', '-'];
    const { status, out } = await lab.runMutant(mutant, argv);
    const [found] = JSON.parse(out).folders[0].differences;
    expect(found).toMatchObject({ edge: first.edge, text: expect.stringMatching(first.says) });
    const { withinMs = 30 } = first.after;
    const from = await momentOf(mutant);
    expect(found.t).toBeGreaterThanOrEqual(from);
    expect(found.t).toBeLessThanOrEqual(from + withinMs);
    expect(status).toBe(1);
  });

  it('has to be one: text that stands nowhere, or twice, is none', () => {
    expect(() => replaceOnce('a b', 'c', 'd', 'here')).toThrow('here: found 0 times, wanted once: c');
    expect(() => replaceOnce('a b a', 'a', 'd', 'here')).toThrow('here: found 2 times');
    expect(replaceOnce('a b', 'a', 'd', 'here')).toBe('d b');
  });
});

/** When the line went out after which the mutant is noticed. */
async function momentOf({ fixture, first }: Mutant): Promise<number> {
  const { lines } = await readCall(`fixtures/${fixture}`);
  const { on, kind } = first.after;
  const line = lines.find((one) => one.dir === 'out' && one.on === on && kindOf(one) === kind);
  if (line === undefined) throw new Error(`${fixture}: nothing of ${on} ${kind} goes out`);
  return line.t;
}
