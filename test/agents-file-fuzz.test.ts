import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { mistakesOf } from '../src/agents-file/mistakes.ts';
import { readAgentsFile } from '../src/agents-file.ts';
import { HOOK_SECRET, handlerModule, makeFolder, wavFile } from './support/agents-folder.ts';

const PAGE = readFileSync(new URL('../docs/agents.md', import.meta.url), 'utf8');
const WHOLE = [...PAGE.matchAll(/```yaml\n(.*?)```/gs)].map(([, text = '']) => text)[2] ?? '';
const SECRET = 'xoxb-Sesame';
const ENV = { HOOK_SECRET, ORDERS_TOKEN: SECRET, CRM_KEY: SECRET };
const FILES = {
  'prompts/booking.md': 'You take reservations for {{business}}.',
  'sounds/typing.wav': wavFile(16_000, 1, 0.02),
  'handlers/booking.mjs': handlerModule('book_table'),
};

/** Numbers from 0 to below 1, the same ones for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Holder = Record<string, unknown> | unknown[];

/** Every place in some data where a value stands. */
function placesIn(value: unknown): { readonly holder: Holder; readonly key: string }[] {
  if (typeof value !== 'object' || value === null) return [];
  const holder = value as Holder;
  return Object.keys(holder).flatMap((key) => [
    { holder, key },
    ...placesIn((holder as Record<string, unknown>)[key]),
  ]);
}

const VALUES: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1e300,
  Number.NaN,
  '',
  ' ',
  'nonsense',
  `{{nobody}} {{`,
  `\${NOT_SET}`,
  'x'.repeat(5000),
  [],
  [null],
  [[]],
  {},
  { name: 'transfer_call' },
  { file: '..' },
  { constructor: 1, toString: null },
];

/** The whole example with one to four of its values taken away or replaced by others. */
function changed(random: () => number): string {
  const below = (count: number): number => Math.floor(random() * count);
  const data: unknown = parse(WHOLE);
  for (let changes = 1 + below(4); changes > 0; changes--) {
    const places = placesIn(data);
    const { holder, key } = places[below(places.length)] ?? { holder: [], key: '' };
    if (random() < 0.2) Reflect.deleteProperty(holder, key);
    else Reflect.set(holder, random() < 0.2 ? `${key}x` : key, VALUES[below(VALUES.length)]);
  }
  return stringify(data);
}

describe('an agents file with anything in it', () => {
  it('is either good or told with its mistakes, each at a place in it, and no secret among them', async () => {
    using folder = makeFolder(FILES);
    const random = randomFrom(20_261_121);
    let broken = 0;
    for (let round = 0; round < 70; round++) {
      const text = changed(random);
      const error: unknown = await readAgentsFile(folder.write('agents.yaml', text), ENV).catch(
        (thrown: unknown) => thrown,
      );
      if (!(error instanceof Error)) continue;
      broken += 1;
      const context = `round ${round}: ${error.message}`;
      const { mistakes = [] } = mistakesOf(error) ?? {};
      expect(mistakes.length, context).toBeGreaterThan(0);
      const lines = text.split('\n').length;
      expect(Math.max(...mistakes.map(({ line }) => line)), context).toBeLessThanOrEqual(lines);
      expect(error.message, context).not.toMatch(/undefined|\[object|\0/);
      expect(error.message, context).not.toContain(SECRET);
    }
    expect(broken).toBeGreaterThan(45);
  });

  it('that is cut off or has letters swapped is told with its mistakes as well', async () => {
    using folder = makeFolder(FILES);
    const random = randomFrom(4);
    for (let round = 0; round < 40; round++) {
      const at = Math.floor(random() * WHOLE.length);
      const letter = '{}[]:,#&*!|>\'"%@`\t\n-?'.charAt(Math.floor(random() * 22));
      const text = random() < 0.3 ? WHOLE.slice(0, at) : WHOLE.slice(0, at) + letter + WHOLE.slice(at + 1);
      const error: unknown = await readAgentsFile(folder.write('agents.yaml', text), ENV).catch(
        (thrown: unknown) => thrown,
      );
      if (error instanceof Error) expect(mistakesOf(error)?.mistakes.length, text).toBeGreaterThan(0);
    }
  });

  it.each([
    ['lists in lists', '['.repeat(30_000)],
    ['objects in objects', '{a: '.repeat(20_000)],
    ['lists in lists that end', `agents: ${'['.repeat(20_000)}${']'.repeat(20_000)}`],
    ['lists by dashes', `agents:\n${'- '.repeat(20_000)}x`],
  ])('that nests without end has a mistake: %s', async (_, text) => {
    using folder = makeFolder({ 'agents.yaml': text });
    const error: unknown = await readAgentsFile(folder.at('agents.yaml'), {}).catch(
      (thrown: unknown) => thrown,
    );
    expect(mistakesOf(error)?.mistakes.length).toBeGreaterThan(0);
  });
});
