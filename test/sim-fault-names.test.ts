import { describe, expect, it } from 'vitest';
import { startGeminiSimulator } from '../src/sim/gemini.ts';
import { startNovaSimulator } from '../src/sim/nova.ts';
import { startOpenAiSimulator } from '../src/sim/openai.ts';
import { type ResponsePlan, startOpenAiLiveSimulator } from '../src/sim/openai-live.ts';

type Start = (faults: never) => Promise<AsyncDisposable & { readonly port: number }>;

const WEBSOCKETS: readonly [string, Start][] = [
  ['openai', (faults) => startOpenAiSimulator({ faults })],
  ['openai-live', (faults) => startOpenAiLiveSimulator({ faults })],
  ['gemini', (faults) => startGeminiSimulator({ faults })],
];
const ALL: readonly [string, Start][] = [...WEBSOCKETS, ['nova', (faults) => startNovaSimulator({ faults })]];
const OPENAI = ALL.slice(0, 2);

/** As a script comes out of a file: its types are not checked. */
function begin(start: Start, rule: object): ReturnType<Start> {
  return start([{ when: { after: 'connect' }, ...rule }] as never);
}

describe('a fault script of', () => {
  it.each(ALL)('%s that names an error nobody knows is refused before anything listens', async (_, start) => {
    await expect(begin(start, { do: 'error', error: 'nope' })).rejects.toThrow(
      /^BAD_INPUT: unknown error "nope", wanted \w+/,
    );
  });

  it.each(ALL)('%s that names no error, or half of one, is refused', async (_, start) => {
    await expect(begin(start, { do: 'error' })).rejects.toThrow('BAD_INPUT: unknown error undefined');
    await expect(begin(start, { do: 'error', error: {} })).rejects.toThrow('BAD_INPUT: unknown error {}');
    await expect(begin(start, { do: 'error', error: 'toString' })).rejects.toThrow(
      'unknown error "toString"',
    );
  });

  it.each(OPENAI)('%s may name an error wherever there is one', async (_, start) => {
    for (const rule of [{ do: 'fail-response' }, { do: 'refuse', type: 'response.create' }]) {
      await expect(begin(start, { ...rule, error: 'nope' })).rejects.toThrow('unknown error "nope"');
      await using sim = await begin(start, { ...rule, error: 'server_error' });
      expect(sim.port).toBeGreaterThan(0);
    }
  });

  it.each(WEBSOCKETS)('%s with a close that no frame can carry is refused', async (_, start) => {
    await expect(begin(start, { do: 'close', code: 1006 })).rejects.toThrow(
      'BAD_INPUT: found the close code 1006, wanted 1000 to 1014',
    );
    await using sim = await begin(start, { do: 'close', code: 4000 });
    expect(sim.port).toBeGreaterThan(0);
  });

  it.each(OPENAI)('%s with an error that closes in such a way is refused', async (_, start) => {
    const rule = { do: 'error', error: 'server_error', close: { code: 1005 } };
    await expect(begin(start, rule)).rejects.toThrow('found the close code 1005');
  });

  it('gemini with an error that is such a close is refused', async () => {
    const [, start] = WEBSOCKETS[2] ?? [];
    expect(start).toBeDefined();
    if (start === undefined) return;
    await expect(begin(start, { do: 'error', error: { code: 1015 } })).rejects.toThrow('1015');
  });
});

it('a plan for OpenAI Live has no pace of its own, for its one stream has one', () => {
  // @ts-expect-error The other simulators know it.
  const plan: ResponsePlan = { transcript: 'Hello.', speedFactor: 2 };
  expect(plan.transcript).toBe('Hello.');
});
