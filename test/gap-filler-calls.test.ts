import { describe, expect, it } from 'vitest';
import { FAILOVER } from '../src/fallback/policy.ts';
import { quiet, say, speak, up } from './support/failover-kit.ts';
import { settled } from './support/manual-provider.ts';

/** The caller fell silent 300 ms before the provider died. @param stopped which the provider has told */
async function diesAfterQuestion(stopped: boolean) {
  const kit = await up({ failover: { ...FAILOVER, answerMs: 0, hedgeMs: 0, connectMs: 60_000 } });
  speak(kit.a, 'hello', 'Hello.', 200);
  quiet(kit, 3000);
  kit.a.emit({ type: 'speechStarted', itemId: 'u' });
  say(kit, 0, 1500);
  quiet(kit, 300);
  if (stopped) kit.a.emit({ type: 'speechStopped', itemId: 'u' });
  kit.a.die();
  await settled();
  return kit;
}

const TOLD = [
  ['told', true],
  ['not told', false],
] as const;

describe.each(TOLD)(
  'a caller whose provider dies over their question, the end of which was %s',
  (_name, told) => {
    it('hears the tone when the next one takes its time', async () => {
      const kit = await diesAfterQuestion(told);
      const { call } = kit;
      const before = call.leg.heardBytes;
      quiet(kit, 3000);
      expect(call.leg.heardBytes).toBeGreaterThan(before);
      await call.session.end('caller-hung-up');
      expect(kit.pacer.size).toBe(0);
    });

    it('is told of with a gap that begins with the silence', async () => {
      const kit = await diesAfterQuestion(told);
      const { b, call, all } = kit;
      quiet(kit, 500);
      await b.ready();
      quiet(kit, 300);
      b.emit({ type: 'speechStarted', itemId: 'u' });
      b.emit({ type: 'speechStopped', itemId: 'u' });
      speak(b, 'answer', 'At nine.', 300, false, false);
      expect(all('failover')[0]?.gapMs).toBeGreaterThanOrEqual(800);
      await call.session.end('caller-hung-up');
    });
  },
);

describe('a caller who waits in vain and speaks up again', () => {
  it('has waited for as long as it was, whatever comes then', async () => {
    const kit = await diesAfterQuestion(true);
    const { b, call, all } = kit;
    quiet(kit, 4000);
    say(kit, 0, 1500);
    quiet(kit, 1000);
    await b.ready();
    quiet(kit, 100);
    speak(b, 'answer', 'At nine.', 300, false, false);
    expect(all('failover')[0]?.gapMs).toBeGreaterThanOrEqual(3900);
    await call.session.end('caller-hung-up');
  });
});
