import { describe, expect, it } from 'vitest';
import { loadConfig } from '../src/config.ts';
import { createOpenAiProvider } from '../src/providers/openai.ts';
import { voiceOf } from '../src/recording/story/voice.ts';
import { readStory } from '../src/recording/story.ts';
import { startOpenAiSimulator } from '../src/sim/openai.ts';
import { STYLES } from './support/carrier-styles.ts';
import { RecordingService } from './support/recording-service.ts';

/** 700 ms that a model takes for speech. */
const SPEECH = Int16Array.from({ length: 5600 }, (_, i) =>
  Math.round(9000 * Math.sin(i / 3) * Math.sin(i / 400)),
);
const FRAME = 160;

/** Frame by frame of 20 ms, whether there is voice. */
function voiced(track: Uint8Array): boolean[] {
  const frames = Array.from({ length: Math.ceil(track.length / FRAME) }, () => false);
  for (const { startMs, endMs } of voiceOf(track)) frames.fill(true, startMs / 20, endMs / 20);
  return frames;
}

/** The share of frames in which two tracks differ, when they are laid over each other as well as possible. */
function difference(one: readonly boolean[], other: readonly boolean[]): number {
  let least = 1;
  for (let shift = -200; shift <= 200; shift += 1) {
    const length = Math.max(one.length, other.length + shift);
    let differing = 0;
    for (let i = Math.min(0, shift); i < length; i += 1)
      if ((one[i] ?? false) !== (other[i - shift] ?? false)) differing += 1;
    least = Math.min(least, differing / length);
  }
  return least;
}

// What is heard is computed from what crossed the bridge's edges: the simulated caller has heard it in fact.
describe.each(STYLES)('a call by way of $name', (style) => {
  it('is shown as the caller has heard and said it', { timeout: 40_000 }, async () => {
    await using openai = await startOpenAiSimulator({
      firstAudioMs: 60,
      respond: ({ kind }) => ({
        audioMs: kind === 'greeting' ? 4000 : 1200,
        transcript: 'One two three four.',
      }),
      hear: () => ({ transcript: 'Stop.' }),
    });
    const env = { OPENAI_BASE_URL: openai.url };
    await using recording = await RecordingService.start(style, {
      env,
      agent: { greeting: 'Good day.', name: 'desk' },
      provider: createOpenAiProvider({ ...loadConfig(env).openai, apiKey: 'no-key' }),
    });
    const call = recording.on.dial();
    await call.untilHeard(800);
    await call.speak(SPEECH);
    await call.untilQuiet(200);
    await call.untilHeard(600);
    await call.untilQuiet(400);
    await call.hangUp();
    const { story, tracks } = readStory(await recording.stored());

    expect(difference(voiced(tracks.heard), voiced(call.heard))).toBeLessThan(0.06);
    expect(difference(voiced(tracks.said), voiced(call.sent))).toBeLessThan(0.06);
    const [greeting, , answer] = story.turns;
    expect(story.turns.map(({ role }) => role)).toEqual(['assistant', 'user', 'assistant']);
    expect(greeting?.interrupted).toBe(true);
    expect(answer?.interrupted).toBe(false);
    expect(story.cutIns).toHaveLength(1);
    expect(story.cutIns[0]?.lostMs).toBeGreaterThan(300);
    expect(story.findings.filter(({ level }) => level === 'bad')).toEqual([]);
    // Of the two voices, each begins where its turn does.
    for (const { role, startMs } of story.turns) {
      const voice = role === 'user' ? story.callerVoice : story.agentVoice;
      expect(Math.min(...voice.map((span) => Math.abs(span.startMs - startMs)))).toBeLessThan(150);
    }
  });
});
