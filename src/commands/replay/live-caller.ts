import { pause, systemClock } from '../../clock.ts';
import type { CallReport, SimulatedCall } from '../../sim/phone.ts';
import type { CallerScript } from './caller-script.ts';

/** Whoever did not hang up then waits so long for the other side to do so, and does it when all has been quiet. */
const QUIET_MS = 5000;
const PATIENCE_MS = 30_000;

/** The caller of a stored call on a simulated phone: says and does everything when it was said and done then. */
export async function playCaller(
  phone: SimulatedCall,
  script: CallerScript,
  stop: AbortSignal,
): Promise<CallReport> {
  const over = phone.ended.then(() => undefined);
  const stopped = new Promise<void>((resolve) => {
    stop.addEventListener('abort', () => resolve(), { once: true });
  });
  const act = async (): Promise<void> => {
    await phone.streaming;
    const begunAt = systemClock.now();
    const at = (ms: number): Promise<void> =>
      pause(systemClock, Math.max(0, begunAt + ms - systemClock.now()), stop);
    const said = phone.speak(script.speech);
    const pressed = pressKeys(phone, script, at);
    if (script.hangUpMs !== undefined) await at(script.hangUpMs);
    else {
      await Promise.all([said, pressed]);
      await Promise.race([phone.untilQuiet(QUIET_MS), pause(systemClock, PATIENCE_MS, stop)]);
    }
  };
  // A call that is over, or that never came up, has its reasons in the report.
  await Promise.race([act().catch(() => undefined), over, stopped]);
  return await phone.hangUp();
}

async function pressKeys(
  phone: SimulatedCall,
  { keys }: CallerScript,
  at: (ms: number) => Promise<void>,
): Promise<void> {
  for (const { atMs, key } of keys) {
    await at(atMs);
    if (phone.isOver) return;
    await phone.pressKeys(key);
  }
}
