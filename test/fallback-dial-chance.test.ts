import { expect, it } from 'vitest';
import type { BreakerState } from '../src/fallback/breakers.ts';
import { Dice } from '../src/sim/common/dice.ts';
import { failure, Provider, type Ring, start, ToldBreakers } from './support/dial-kit.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const REFUSALS = ['PROVIDER_AUTH', 'PROVIDER_UNAVAILABLE', 'PROVIDER_RATE_LIMITED', 'CANCELLED'] as const;
const STATES: readonly BreakerState[] = ['closed', 'closed', 'closed', 'half-open', 'open'];

type Pick = (below: number) => number;

/** Something happens to a provider that is being dialled. */
async function fate(ring: Ring, pick: Pick): Promise<void> {
  switch (pick(6)) {
    case 0:
      ring.bills(1);
      break;
    case 1:
      ring.speaks(new Uint8Array(8));
      break;
    case 2:
      ring.ends(failure('PROVIDER_CLOSED'));
      break;
    case 3:
      await ring.refuses(failure(REFUSALS[pick(REFUSALS.length)] ?? 'INTERNAL'));
      break;
    default:
      await ring.answers();
  }
}

function providers(pick: Pick, breakers: ToldBreakers): readonly Provider[] {
  return Array.from({ length: 1 + pick(4) }, (_, i) => {
    const provider = new Provider(`p${i}`);
    provider.manners = pick(2) === 0 ? 'obeys' : 'ignores the signal';
    breakers.states.set(provider, STATES[pick(STATES.length)] ?? 'closed');
    return provider;
  });
}

/** Whatever the dice say happens to the providers that are dialled, for 4 s; then time goes by until all is over. */
async function live(
  call: ReturnType<typeof start>,
  talkative: readonly Provider[],
  pick: Pick,
  goneAt: number | undefined,
): Promise<void> {
  for (let at = 0; at < 4000; at += 50) {
    if (at === goneAt) call.given.abort();
    for (const ring of talkative.flatMap(({ rings }) => rings)) if (pick(15) === 0) await fate(ring, pick);
    await call.pass(50);
  }
  for (let i = 0; i < 40; i++) await call.pass(500);
}

async function check({ name, rings }: Provider, call: ReturnType<typeof start>): Promise<void> {
  const told = call.breakers.told.filter((line) => line.startsWith(name) && !line.endsWith('insisted'));
  expect(told).toHaveLength(rings.length);
  expect(rings.length).toBeLessThanOrEqual(2);
  for (const ring of rings) {
    // Some come after everybody has gone home.
    await ring.answers();
    const isWinner = ring.session !== undefined && ring.session === call.outcome.dialled?.session;
    expect(ring.done).toEqual(ring.isAnswered && !isWinner ? ['close'] : []);
    if (isWinner) expect(ring.signal.aborted).toBe(false);
  }
}

/** One dialling in which everything is left to the dice; says how it ended. */
async function dialByChance(seed: number): Promise<string> {
  const dice = new Dice(seed);
  const pick: Pick = (below) => Math.floor(dice.roll() * below);
  const breakers = new ToldBreakers({ clock: new VirtualClock(), onChange: () => undefined });
  const all = providers(pick, breakers);
  const hedgeMs = [0, 200, 700][pick(3)] ?? 0;
  const call = start(all, { breakers, hedgeMs, connectMs: 500 + pick(2000) });
  const goneAt = pick(5) === 0 ? 50 * pick(40) : undefined;
  const talkative = all.filter(() => pick(3) > 0);
  await live(call, talkative, pick, goneAt);
  const { dialled, error } = call.outcome;
  expect([dialled, error].filter((end) => end !== undefined)).toHaveLength(1);
  for (const provider of all) await check(provider, call);
  call.clean();
  return error?.code ?? 'ready';
}

it('hundreds of diallings of every kind each end once, tell each breaker once, and leave nothing open', async () => {
  const ends = new Map<string, number>();
  for (let seed = 1; seed <= 300; seed++) {
    const end = await dialByChance(seed);
    ends.set(end, (ends.get(end) ?? 0) + 1);
  }
  // It would prove nothing if the same happened each time.
  for (const end of ['ready', 'CANCELLED', 'TIMEOUT', 'PROVIDER_UNAVAILABLE', 'PROVIDER_AUTH']) {
    expect([end, (ends.get(end) ?? 0) >= 3]).toEqual([end, true]);
  }
});
