import { describe, expect, it } from 'vitest';
import type { Line } from '../src/recording/format.ts';
import { readCall, type StoredCall } from '../src/recording/stored-call.ts';
import { replay } from '../src/replay/replay.ts';

/** The carrier answers the first request with 429, and is asked once more a second later. */
const FIXTURE = new URL('../fixtures/telnyx-rest-429-then-ok', import.meta.url).pathname;

function isAgain(line: Line): boolean {
  return line.on === 'rest' && line.dir === 'out' && line.msg.id === 2;
}

/** The same call from a machine that was held up for so long before it asked again. */
async function lateBy(lateMs: number): Promise<StoredCall> {
  const stored = await readCall(FIXTURE);
  const again = stored.lines.findIndex(isAgain);
  const lines = stored.lines.map((line, at) =>
    at < again ? line : { ...line, t: Math.round((line.t + lateMs) * 1000) / 1000 },
  );
  // A recording from life tells of timers.
  const last = lines.at(-1)?.t ?? 0;
  lines.push({ t: last, on: 'clock', dir: 'in', msg: { due: last } });
  return { ...stored, lines };
}

async function madeAgainAt(stored: StoredCall): Promise<number | undefined> {
  return (await replay(stored)).found.lines.find(isAgain)?.t;
}

describe('a request that the service makes once more', () => {
  it('is made in a recording from life when it was made, however late the machine was', async () => {
    const stored = await lateBy(58);
    const at = stored.lines.find(isAgain)?.t;
    expect(await madeAgainAt(stored)).toBe(at);
  });

  it('is made when it is due in a fixture', async () => {
    const late = await lateBy(58);
    const lines = late.lines.filter(({ on }) => on !== 'clock');
    const found = await madeAgainAt({ ...late, lines });
    expect(found).toBeCloseTo((late.lines.find(isAgain)?.t ?? 0) - 58, 3);
  });

  it('is not waited for when it was made much later', async () => {
    const late = await lateBy(5000);
    const found = await madeAgainAt(late);
    expect((late.lines.find(isAgain)?.t ?? 0) - (found ?? 0)).toBeGreaterThan(4900);
  });
});
