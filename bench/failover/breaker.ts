import { setTimeout } from 'node:timers/promises';
import { countingModel } from '../../src/commands/drill/counting-model.ts';
import { AGENT_VOICES, HELLO, type Lexicon } from '../../src/commands/drill/lexicon.ts';
import { Stage } from '../../src/commands/drill/stage.ts';
import type { Fault, StandInName } from '../../src/commands/drill/stand-ins.ts';
import { quantile } from './run.ts';

/** What a breaker that is open costs the next caller. Times from the webhook to the agent's first sound, medians, in ms. */
export interface BreakerReport {
  /** So many found out. */
  readonly calls: number;
  /** Of the calls that found the first provider broken. */
  readonly finders: number;
  /** Of those that called afterwards. */
  readonly next: number;
  /** With the healthy provider in the first place. */
  readonly healthy: number;
  /** The breaker of the first provider is open, as the service's `/readyz` has it. */
  readonly open: boolean;
}

const NEXT_CALLS = 20;
const LOOK_MS = 100;
const LOOKS = 50;

async function open(
  lexicon: Lexicon,
  providers: readonly StandInName[],
  faults: readonly Fault[],
): Promise<Stage> {
  return await Stage.open({
    carrier: 'twilio',
    greeting: HELLO,
    providers: providers.map((name, i) => [
      name,
      {
        respond: countingModel({ lexicon, voice: AGENT_VOICES[i] ?? '' }),
        firstAudioMs: 100,
        keepAudio: false,
        faults: i === 0 ? faults : [],
      },
    ]),
    failover: { hedgeSeconds: 0.5, connectSeconds: 1 },
    calls: { keepAudio: false },
    env: () => ({ MAX_CALLS: '500' }),
  });
}

async function firstSound(stage: Stage): Promise<number> {
  const call = stage.place();
  const { atMs } = await call.event('firstAudio');
  await call.phone.hangUp();
  return atMs;
}

async function oneByOne(stage: Stage): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < NEXT_CALLS; i++) times.push(await firstSound(stage));
  return quantile(times, 0.5) ?? Number.POSITIVE_INFINITY;
}

/** `calls` at once find out that the first provider does not answer; then others call, one after the other. */
export async function breakerCost(lexicon: Lexicon, calls: number): Promise<BreakerReport> {
  await using healthyStage = await open(lexicon, ['gemini', 'openai'], []);
  // The first call of a process pays for what is loaded by it.
  await firstSound(healthyStage);
  const healthy = await oneByOne(healthyStage);
  await using stage = await open(
    lexicon,
    ['openai', 'gemini'],
    [{ when: { after: 'connect' }, do: 'stall' }],
  );
  // They talk on: a caller who hangs up before a provider can be called slow has found nothing out.
  const found = Array.from({ length: calls }, () => stage.place());
  const finders = await Promise.all(found.map(async (call) => (await call.event('firstAudio')).atMs));
  for (let i = 0; i < LOOKS && !isOpen(await stage.readiness()); i++) await setTimeout(LOOK_MS);
  const next = await oneByOne(stage);
  for (const call of found) await call.phone.hangUp();
  return {
    calls,
    finders: quantile(finders, 0.5) ?? Number.POSITIVE_INFINITY,
    next,
    healthy,
    open: isOpen(await stage.readiness()),
  };
}

function isOpen(readiness: unknown): boolean {
  const { providers } = readiness as { readonly providers: readonly { provider: string; state: string }[] };
  return providers.some(({ provider, state }) => provider === 'openai' && state !== 'closed');
}
