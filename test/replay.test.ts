import { describe, expect, it } from 'vitest';
import { createLocalProvider } from '../src/providers/local.ts';
import { replay } from '../src/replay/replay.ts';
import { tellDifference } from '../src/replay/compare.ts';
import { STYLES } from './support/carrier-styles.ts';
import { RecordingService } from './support/recording-service.ts';

describe.each(STYLES)('a call by $name that was recorded', (style) => {
  it('goes the same way in a replay, and two replays are equal to the byte', { timeout: 60_000 }, async () => {
    await using recording = await RecordingService.start(style, { provider: createLocalProvider() });
    const { on } = recording;
    const call = on.dial();
    await call.streaming;
    await call.untilHeard(300);
    await call.untilQuiet(500);
    await call.pressKeys('5');
    await call.untilHeard(200);
    await call.hangUp();
    const stored = await recording.stored();
    const first = await replay(stored);
    const told = first.differences.map((one) => tellDifference(one, stored, first.found));
    expect(told.slice(0, 3).join('\n\n')).toBe('');
    expect(first.unfed).toEqual([]);
    const second = await replay(stored);
    expect(JSON.stringify(second.found.lines)).toBe(JSON.stringify(first.found.lines));
    console.error(style.name, stored.lines.length, first.callMs, first.realMs);
  });
});
