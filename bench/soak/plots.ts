import { DIALECTS } from './dialects.ts';
import type { Temper } from './model.ts';
import { type Entrance, type Manner, Phone } from './phone.ts';

/** What becomes of one call. */
export interface Plot {
  readonly name: string;
  readonly manner: Manner;
  readonly temper: Temper;
  /** What else the bridge is asked for in mid-call. */
  readonly operator?: 'ends';
  /** The call is not let in: its webhook is signed wrongly. */
  readonly forged?: true;
}

/** Every way in which calls go here. */
export const PLOTS: readonly Plot[] = [
  { name: 'turns', manner: 'hangs-up', temper: 'answers' },
  { name: 'barge-in', manner: 'cuts-in', temper: 'answers' },
  { name: 'function', manner: 'hangs-up', temper: 'calls' },
  { name: 'function left open', manner: 'hangs-up', temper: 'calls-slow' },
  { name: 'agent hangs up', manner: 'stays', temper: 'ends' },
  { name: 'failover in mid-sentence', manner: 'hangs-up', temper: 'dies' },
  { name: 'refused dial', manner: 'hangs-up', temper: 'refuses' },
  { name: 'mute model', manner: 'stays', temper: 'mute' },
  { name: 'hangs up on the agent', manner: 'vanishes', temper: 'answers' },
  { name: 'stream breaks', manner: 'breaks', temper: 'answers' },
  { name: 'no stream', manner: 'never-comes', temper: 'answers' },
  { name: 'ended by an operator', manner: 'stays', temper: 'answers', operator: 'ends' },
  { name: 'forged webhook', manner: 'hangs-up', temper: 'answers', forged: true },
];

/** More than the service remembers as over, so that no later call makes it remember more. */
const ENDED = 10_100;
/** Of their numbers, which no other call has. */
const FIRST_ENDED = 2 ** 40;

/** Tells the service of so many calls that are over that it forgets one for every further one. */
export async function fillWithEnded(entrance: Entrance, atOnce = 50): Promise<void> {
  const [dialect] = DIALECTS;
  if (dialect === undefined) return;
  for (let i = 0; i < ENDED; i += atOnce) {
    const some = Array.from(
      { length: atOnce },
      (_, k) => new Phone(entrance, dialect, 'hangs-up', FIRST_ENDED + i + k, () => undefined),
    );
    await Promise.all(some.map((phone) => new Promise<void>((resolve) => phone.tellOver(resolve))));
  }
}
